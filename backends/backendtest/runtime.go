package backendtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"nomadctld/backends"
)

// Features are the optional features of a runtime.
type Features struct {
	User, Env, Dir bool // of backends.Program
	Signals        bool // can be sent to a program without a terminal
}

// testTimeout limits steps that take no time on an idle machine.
const testTimeout = 60 * time.Second

// Runtime tests Exec and Kill in a task with a POSIX shell and the usual programs. open returns a task that runs until
// the end of its test.
func Runtime(t *testing.T, open func(t *testing.T) (backends.Runtime, backends.TaskRef), can Features) {
	t.Helper()
	for name, test := range map[string]func(*taskFixture){
		"arguments unchanged":             argumentsUnchanged,
		"binary input and output":         everyByte,
		"separate stderr":                 separateStderr,
		"large input and output":          largeOutput,
		"last byte of the output":         lastByte,
		"exit codes":                      exitCodes,
		"exit code after a signal":        exitSignals,
		"EOF of the input":                endOfInput,
		"input error is not EOF":          inputError,
		"unread input":                    unreadInput,
		"program not found":               programNotFound,
		"terminal size":                   terminalSize,
		"terminal modes at the start":     terminalSetUp,
		"program with a terminal":         terminalProgram,
		"terminal resized":                terminalResized,
		"many resizes":                    resizeStorm,
		"keys":                            keys,
		"EOF with a terminal":             terminalEOF,
		"signals":                         programSignals,
		"killed by HUP":                   killedByHUP,
		"killed by KILL":                  killedByKILL,
		"killed with a terminal":          killedWithTerminal,
		"background child":                backgroundChild,
		"killed by session":               killBySession,
		"environment, directory and user": environment,
		"task not found":                  taskNotFound,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runtime, in := open(t)
			test(&taskFixture{t, runtime, in, can})
		})
	}
}

// taskFixture is a task with its runtime.
type taskFixture struct {
	*testing.T
	runtime  backends.Runtime
	task     backends.TaskRef
	features Features
}

// result is the result of a program.
type result struct {
	stdout, stderr string
	code           int
	err            error
}

func newSession() string { return "test" + strings.ToLower(rand.Text()) }

// exec runs a program and waits for its exit.
func (p *taskFixture) exec(program backends.Program) result {
	p.Helper()
	ctx, cancel := context.WithTimeoutCause(p.Context(), 2*testTimeout, errors.New("the program does not exit"))
	defer cancel()
	var stdout, stderr syncBuffer
	if program.Stdin == nil {
		program.Stdin = strings.NewReader("")
	}
	if program.Stdout == nil {
		program.Stdout = &stdout
	}
	program.Stderr = &stderr
	program.Session = newSession()
	code, err := p.runtime.Exec(ctx, p.task, program)
	return result{stdout.String(), stderr.String(), code, err}
}

func (p *taskFixture) sh(script string, args ...string) result {
	p.Helper()
	return p.exec(backends.Program{Argv: append([]string{"sh", "-c", script, "sh"}, args...)})
}

// want fails unless the program has exited with this code and output.
func (p *taskFixture) want(r result, code int, stdout string) {
	p.Helper()
	if r.err != nil || r.code != code || r.stdout != stdout {
		p.Errorf("got code %d, %v, %s, stderr %s, want code %d, %s", r.code, r.err, brief(r.stdout), brief(r.stderr), code,
			brief(stdout))
	}
}

func brief(s string) string {
	if len(s) > 200 {
		return fmt.Sprintf("%q... (%d bytes)", s[:200], len(s))
	}
	return fmt.Sprintf("%q", s)
}

func argumentsUnchanged(p *taskFixture) {
	var bytes []byte
	for c := 1; c < 256; c++ {
		bytes = append(bytes, byte(c))
	}
	args := []string{
		"", " ", "a b", `"`, `'`, `\`, "$HOME", "`id`", "*", "new\nline", "\t", "é日本", "-n", "--", "#x",
		";", "&", "|", "%s", "{}",
	}
	args = append(args, string(bytes[:127]))
	p.want(p.sh(`for a; do printf '[%s]' "$a"; done`, args...), 0, "["+strings.Join(args, "][")+"]")
}

func everyByte(p *taskFixture) {
	var all []byte
	for c := range 256 {
		all = append(all, byte(c), byte(255-c))
	}
	p.want(p.exec(backends.Program{Argv: []string{"cat"}, Stdin: bytes.NewReader(all)}), 0, string(all))
}

func separateStderr(p *taskFixture) {
	r := p.sh("echo out; echo err >&2; echo out; echo err >&2")
	p.want(r, 0, "out\nout\n")
	if r.stderr != "err\nerr\n" {
		p.Errorf("stderr: got %q", r.stderr)
	}
}

func largeOutput(p *taskFixture) {
	content := make([]byte, 3<<20)
	rand.Read(content)
	r := p.exec(backends.Program{Argv: []string{"cat"}, Stdin: bytes.NewReader(content)})
	p.want(r, 0, string(content))
	sum := fmt.Sprintf("%x  -\n", sha256.Sum256(content))
	p.want(p.exec(backends.Program{Argv: []string{"sha256sum"}, Stdin: bytes.NewReader(content)}), 0, sum)
	const zeros = 8<<20 + 1
	p.want(p.sh(fmt.Sprintf("head -c %d /dev/zero", zeros)), 0, strings.Repeat("\x00", zeros))
}

func lastByte(p *taskFixture) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 10 {
				p.want(p.sh(`printf %s "$1"`, fmt.Sprint(i)), 0, fmt.Sprint(i))
			}
		})
	}
	all.Wait()
}

func exitCodes(p *taskFixture) {
	for _, code := range []int{0, 1, 77, 126, 127, 255} {
		p.want(p.sh(fmt.Sprintf("echo x; exit %d", code)), code, "x\n")
	}
}

func exitSignals(p *taskFixture) {
	for signal, code := range map[string]int{"KILL": 137, "TERM": 143} {
		p.want(p.sh("echo x; kill -s "+signal+" $$; sleep 60"), code, "x\n")
	}
}

func endOfInput(p *taskFixture) {
	p.want(p.exec(backends.Program{Argv: []string{"sh", "-c", "cat; echo end"}, Stdin: strings.NewReader("input")}), 0,
		"inputend\n")
	p.want(p.exec(backends.Program{Argv: []string{"sh", "-c", "cat; echo end"}}), 0, "end\n")
}

func inputError(p *taskFixture) {
	for _, terminal := range []backends.Terminal{nil, newTerminal(80, 24)} {
		tag := newSession()
		r := p.start(backends.Program{
			Argv:     []string{"sh", "-c", "echo ready; cat >/dev/null && echo whole", tag},
			Terminal: terminal,
		})
		r.waitFor("ready")
		r.typeText("half\n")
		r.stdin.CloseWithError(errors.New("the connection broke"))
		time.Sleep(500 * time.Millisecond) // for output that must not appear
		r.cancel(errSessionOver)
		p.wantKilled(r, tag)
		if out := r.stdout.String(); strings.Contains(out, "whole") {
			p.Errorf("got %q", out)
		}
	}
}

func unreadInput(p *taskFixture) {
	in, end := io.Pipe()
	defer end.Close()
	go func() {
		line := bytes.Repeat([]byte("y\n"), 1<<10)
		for {
			if _, err := end.Write(line); err != nil {
				return
			}
		}
	}()
	p.want(p.exec(backends.Program{Argv: []string{"sh", "-c", "read line; echo $line; exit 3"}, Stdin: in}), 3, "y\n")
	waiting, never := io.Pipe()
	defer never.Close()
	p.want(p.exec(backends.Program{Argv: []string{"sh", "-c", "exit 4"}, Stdin: waiting}), 4, "")
}

func programNotFound(p *taskFixture) {
	for argv0, want := range map[string]error{
		"no-such-program": backends.ErrProgramNotFound, "/no/such/program": backends.ErrProgramNotFound,
		"/etc": backends.ErrNotExecutable, "/etc/passwd": backends.ErrNotExecutable,
	} {
		r := p.exec(backends.Program{Argv: []string{argv0}})
		if !errors.Is(r.err, want) || r.stdout != "" || r.stderr != "" || !strings.Contains(r.err.Error(), argv0) ||
			strings.Contains(r.err.Error(), "\n") {
			p.Errorf("%s: got %v, %q, %q, want %v", argv0, r.err, r.stdout, r.stderr, want)
		}
	}
	if r := p.exec(backends.Program{Argv: []string{"no-such-program"}, Terminal: newTerminal(80, 24)}); !errors.Is(r.err,
		backends.ErrProgramNotFound) || r.stdout != "" {
		p.Errorf("with a terminal: got %v, %q", r.err, r.stdout)
	}
}

func environment(p *taskFixture) {
	if p.features.Env {
		r := p.exec(backends.Program{
			Argv: []string{"sh", "-c", `printf '%s|' "$A" "$B" "$TERM"`},
			Env:  []string{"A=1 2", "B=x=\ny", "TERM=vt52"},
		})
		p.want(r, 0, "1 2|x=\ny|vt52|")
		r = p.exec(backends.Program{
			Argv: []string{"sh", "-c", "echo $TERM"}, Terminal: newTerminal(80, 24),
			Env: []string{"TERM=vt52"},
		})
		p.want(r, 0, "vt52\r\n")
		for _, terminal := range []backends.Terminal{nil, newTerminal(80, 24)} {
			r = p.exec(backends.Program{
				Argv:        []string{"sh", "-c", `printf '%s|' "$TERM" "$LC_ALL" "$nomadctld_p" "$nomadctld_m" "$nomadctld_w"`},
				Terminal:    terminal,
				OptionalEnv: []string{"TERM=vt52", "LC_ALL=de_DE.UTF-8"},
				Env:         []string{"nomadctld_p=x", "nomadctld_m=y", "nomadctld_w=z"},
			})
			p.want(r, 0, "vt52|de_DE.UTF-8|x|y|z|")
		}
	}
	if p.features.Dir {
		p.want(p.exec(backends.Program{Argv: []string{"pwd"}, Dir: "/tmp"}), 0, "/tmp\n")
		if r := p.exec(backends.Program{Argv: []string{"pwd"}, Dir: "/no/such/dir"}); r.err == nil || r.stdout != "" ||
			errors.Is(r.err, backends.ErrProgramNotFound) {
			p.Errorf("missing directory: got %v, %q", r.err, r.stdout)
		}
	}
	if p.features.User {
		p.want(p.exec(backends.Program{Argv: []string{"sh", "-c", "id -u; id -g"}, User: "65534:0"}), 0, "65534\n0\n")
		if r := p.exec(backends.Program{Argv: []string{"id"}, User: "no-such-user"}); r.err == nil || r.stdout != "" {
			p.Errorf("unknown user: got %v, %q", r.err, r.stdout)
		}
	}
}

func taskNotFound(p *taskFixture) {
	p.task.Task = "no-such-task"
	if r := p.sh("echo x"); r.err == nil || r.stdout != "" {
		p.Errorf("got %v, %q", r.err, r.stdout)
	}
}

func backgroundChild(p *taskFixture) {
	startTime := time.Now()
	p.want(p.sh("echo x; sleep 300 & exit 5"), 5, "x\n")
	if took := time.Since(startTime); took > testTimeout {
		p.Errorf("took %s", took)
	}
}

// syncBuffer is a buffer that may be read while a program writes to it.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// terminal is a user's terminal. The test changes its size.
type terminal struct {
	mu            sync.Mutex
	columns, rows int
	changed       chan struct{}
}

func newTerminal(columns, rows int) *terminal {
	return &terminal{columns: columns, rows: rows, changed: make(chan struct{}, 1)}
}

func (t *terminal) Size() (columns, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.columns, t.rows
}

func (t *terminal) Resized() <-chan struct{} { return t.changed }

func (t *terminal) resize(columns, rows int) {
	t.mu.Lock()
	t.columns, t.rows = columns, rows
	t.mu.Unlock()
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// process is a running program with its input and output.
type process struct {
	t       *testing.T
	stdin   *io.PipeWriter
	stdout  *syncBuffer
	signals chan string
	cancel  context.CancelCauseFunc
	done    chan result
}

// start starts a program. It is killed at the end of the test.
func (p *taskFixture) start(program backends.Program) *process {
	p.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	stdin, input := io.Pipe()
	r := &process{
		t: p.T, stdin: input, stdout: &syncBuffer{}, signals: make(chan string, 4), cancel: cancel,
		done: make(chan result, 1),
	}
	var stderr syncBuffer
	program.Stdin, program.Stdout, program.Stderr = stdin, r.stdout, &stderr
	if program.Session == "" {
		program.Session = newSession()
	}
	program.Signals = r.signals
	go func() {
		code, err := p.runtime.Exec(ctx, p.task, program)
		r.done <- result{r.stdout.String(), stderr.String(), code, err}
	}()
	p.Cleanup(func() {
		cancel(errors.New("the test is over"))
		input.Close()
	})
	return r
}

// waitFor waits until the output contains want.
func (r *process) waitFor(want string) {
	r.t.Helper()
	for startTime := time.Now(); !strings.Contains(r.stdout.String(), want); time.Sleep(20 * time.Millisecond) {
		select {
		case res := <-r.done:
			r.done <- res
			if !strings.Contains(r.stdout.String(), want) {
				r.t.Fatalf("exited with %d, %v, %s, want %q", res.code, res.err, brief(res.stdout), want)
			}
			return
		default:
		}
		if time.Since(startTime) > testTimeout {
			r.t.Fatalf("got %s, want %q", brief(r.stdout.String()), want)
		}
	}
}

func (r *process) typeText(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r.stdin, text); err != nil {
		r.t.Fatal(err)
	}
}

// waitExit waits until the program has exited.
func (r *process) waitExit() result {
	r.t.Helper()
	select {
	case res := <-r.done:
		return res
	case <-time.After(testTimeout):
		r.t.Fatalf("the program does not exit; output %s", brief(r.stdout.String()))
		return result{}
	}
}

// sizeScript prints the terminal size after each change.
const sizeScript = `while :; do new=$(stty size); [ "$new" = "$old" ] || echo "<$new>"; old=$new; sleep 0.1; done`

func terminalSize(p *taskFixture) {
	for _, c := range []struct {
		columns, rows int
		want          string
	}{{132, 43, "<43 132>"}, {1000, 1000, "<1000 1000>"}, {2, 3, "<3 2>"}} {
		r := p.start(backends.Program{Argv: []string{"sh", "-c", sizeScript}, Terminal: newTerminal(c.columns, c.rows)})
		r.waitFor(c.want)
		r.cancel(nil)
	}
	r := p.start(backends.Program{Argv: []string{"sh", "-c", "read x; echo got $x"}, Terminal: newTerminal(0, 0)})
	r.typeText("x\n")
	r.waitFor("got x")
}

// terminalSetUp checks that a program finds the size and modes set, even if it reads them immediately.
func terminalSetUp(p *taskFixture) {
	for range 20 {
		p.want(p.exec(backends.Program{Argv: []string{"stty", "size"}, Terminal: newTerminal(132, 43)}), 0, "43 132\r\n")
	}
	modes := backends.TerminalModes{
		1: 7, 2: 0x1c, backends.ModeErase: 8, backends.ModeKill: '@', backends.ModeEOF: 4, 6: 255, 7: 0, 8: 0x11, 9: 0x13,
		10: 0x1a, 11: 0x19,
		12: 0x12, 13: 0x17, 14: 0x16, 15: 0x0f, 18: 0x0f, 30: 0, 36: 1, 38: 0, 39: 1, 41: 1, backends.ModeIUTF8: 1, 50: 1,
		51: 1, backends.ModeEcho: 1,
		54: 1, 55: 0, 56: 0, 60: 0, 62: 0, 70: 1, 72: 1, 90: 1, 91: 1, 92: 0, 128: 38400, 129: 38400,
	}
	r := p.exec(backends.Program{Argv: []string{"stty", "-a"}, Terminal: newTerminal(80, 24), Modes: modes})
	for _, want := range []string{
		"intr = ^G;", "quit = ^\\;", "erase = ^H;", "kill = @;", "eof = ^D;", "eol = <undef>;", "eol2 = <undef>;",
		"rprnt = ^R;", "werase = ^W;", "lnext = ^V;", " iutf8", " icrnl", " -ixon", " ixany",
		" imaxbel", " -echok ", "-echoctl ", " echoe", " cs8", "24", "80",
	} {
		if !strings.Contains(r.stdout, want) || r.code != 0 || r.err != nil {
			p.Errorf("got %d, %v, %q, want %q in it", r.code, r.err, r.stdout, want)
		}
	}
	// The erase key erases both bytes of a character, and the user's EOF key works.
	r = p.exec(backends.Program{
		Argv: []string{"cat"}, Terminal: newTerminal(80, 24), Stdin: strings.NewReader("\u00e9\bx\n"),
		Modes: backends.TerminalModes{
			backends.ModeErase: 8, backends.ModeIUTF8: 1, backends.ModeEcho: 0,
			backends.ModeEOF: 5,
		},
	})
	p.want(r, 0, "x\r\n")
}

// terminalProgram checks that a program with a terminal gets the same arguments, directory and exit code as without.
func terminalProgram(p *taskFixture) {
	modes := backends.TerminalModes{backends.ModeIUTF8: 1}
	with := func(argv ...string) backends.Program {
		return backends.Program{Argv: argv, Terminal: newTerminal(80, 24), Modes: modes}
	}
	p.want(p.exec(with("sh", "-c", `printf '[%s]' "$0" "$@"`, "", "a  b", "*", "$x", "", "-e", "é")), 0,
		"[][a  b][*][$x][][-e][é]")
	for _, code := range []int{0, 1, 125, 126, 127, 255} {
		p.want(p.exec(with("sh", "-c", fmt.Sprintf("exit %d", code))), code, "")
	}
	for argv0, want := range map[string]error{
		"no-such-program": backends.ErrProgramNotFound, "/no/such/program": backends.ErrProgramNotFound,
		"/etc": backends.ErrNotExecutable, "/etc/passwd": backends.ErrNotExecutable,
	} {
		if r := p.exec(with(argv0)); !errors.Is(r.err, want) || r.stdout != "" ||
			!strings.HasPrefix(r.err.Error(), argv0+": ") {
			p.Errorf("%s: got %v, %q, want %v", argv0, r.err, r.stdout, want)
		}
	}
	p.want(p.exec(with("sh", "-c", "kill -s TERM $$; sleep 60")), 143, "")
	if p.features.Dir {
		program := with("sh", "-c", "pwd; ps -o ppid= -p $$ 2>/dev/null | tr -d ' ' | head -c 0")
		program.Dir = "/tmp"
		p.want(p.exec(program), 0, "/tmp\r\n")
	}
}

func terminalResized(p *taskFixture) {
	size := newTerminal(80, 24)
	r := p.start(backends.Program{Argv: []string{"sh", "-c", sizeScript}, Terminal: size})
	for _, columns := range []int{80, 81, 200} {
		size.resize(columns, 30)
		r.waitFor(fmt.Sprintf("<30 %d>", columns))
	}
}

func resizeStorm(p *taskFixture) {
	size := newTerminal(80, 24)
	r := p.start(backends.Program{Argv: []string{"sh", "-c", sizeScript}, Terminal: size})
	r.waitFor("<24 80>")
	for i := range 2000 {
		size.resize(100+i%50, 50)
		if i%5 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	size.resize(99, 49)
	r.waitFor("<49 99>")
}

func keys(p *taskFixture) {
	r := p.start(backends.Program{Argv: []string{
		"sh", "-c",
		"stty raw -echo; echo ready; dd bs=1 count=8 2>/dev/null | od -An -tx1; stty sane",
	}, Terminal: newTerminal(80, 24)})
	r.waitFor("ready")
	for _, key := range []string{"\x03", "\x10", "\x11", "\x1a", "\x1c", "\x10", "x", "\x04"} {
		r.typeText(key)
		time.Sleep(10 * time.Millisecond)
	}
	r.waitFor("03 10 11 1a 1c 10 78 04")
	if res := r.waitExit(); res.code != 0 || res.err != nil {
		p.Errorf("got %d, %v", res.code, res.err)
	}
	// Each key arrives immediately.
	r = p.start(backends.Program{
		Argv: []string{
			"sh", "-c",
			`stty raw -echo; echo ready; while c=$(dd bs=1 count=1 2>/dev/null | od -An -tx1); do echo "$c"; done`,
		},
		Terminal: newTerminal(80, 24),
	})
	r.waitFor("ready")
	for _, key := range []string{"\x10", "\x11", "\x03", "\x1a", "\x1b", "\x1d", "\x1e", "\x1f", "\x01"} {
		r.typeText(key)
		r.waitFor(fmt.Sprintf("%02x", key))
	}
	// Without raw mode, the terminal interprets the keys.
	r = p.start(backends.Program{Argv: []string{
		"sh", "-c",
		"trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.1; done",
	}, Terminal: newTerminal(80, 24)})
	r.waitFor("ready")
	r.typeText("\x03")
	if res := r.waitExit(); res.code != 9 || res.err != nil || !strings.Contains(res.stdout, "interrupted") {
		p.Errorf("^C: got %d, %v, %q", res.code, res.err, res.stdout)
	}
}

func terminalEOF(p *taskFixture) {
	for _, input := range []string{"a\n", "a"} {
		r := p.exec(backends.Program{
			Argv:  []string{"sh", "-c", "stty -echo; cat; sleep 0.2; echo; echo end; exit 3"},
			Stdin: strings.NewReader(input), Terminal: newTerminal(80, 24),
		})
		if r.code != 3 || r.err != nil || !strings.HasSuffix(r.stdout, "end\r\n") {
			p.Errorf("%q: got %d, %v, %q", input, r.code, r.err, r.stdout)
		}
	}
}

const trapScript = `for s in HUP INT QUIT TERM USR1 USR2; do trap "echo got $s" $s; done
echo ready; while :; do sleep 0.1; done`

func programSignals(p *taskFixture) {
	if !p.features.Signals {
		p.Skip("this runtime cannot send signals")
	}
	r := p.start(backends.Program{Argv: []string{"sh", "-c", trapScript}})
	r.waitFor("ready")
	for _, name := range []string{"USR1", "INT", "NONSENSE", "$(echo TERM)", "USR2", "HUP", "TERM"} {
		r.signals <- name
	}
	for _, name := range []string{"USR1", "INT", "USR2", "HUP", "TERM"} {
		r.waitFor("got " + name)
	}
	if strings.Index(r.stdout.String(), "USR1") > strings.Index(r.stdout.String(), "USR2") {
		p.Errorf("not in order: %q", r.stdout.String())
	}
	r.signals <- "KILL"
	if res := r.waitExit(); res.code != 137 || res.err != nil {
		p.Errorf("KILL: got %d, %v", res.code, res.err)
	}
}

var errSessionOver = errors.New("the session is over")

// wantKilled fails unless the program was killed because of errSessionOver and none of its processes remains.
func (p *taskFixture) wantKilled(r *process, tag string) {
	p.Helper()
	res := r.waitExit()
	var zombies *backends.ZombiesError
	if errors.As(res.err, &zombies) {
		res.err = zombies.Cause
	}
	if res.err != errSessionOver {
		p.Errorf("got %d, %v, want %v", res.code, res.err, errSessionOver)
	}
	// The program's children may exit a little later.
	for end := time.Now().Add(testTimeout); ; time.Sleep(100 * time.Millisecond) {
		left := p.sh("ps -o args 2>/dev/null || ps")
		if left.err == nil && !strings.Contains(left.stdout, tag) {
			return
		}
		if time.Now().After(end) {
			p.Errorf("remaining processes: %s, %v", left.stdout, left.err)
			return
		}
	}
}

func killedByHUP(p *taskFixture) {
	tag := newSession()
	r := p.start(backends.Program{Argv: []string{
		"sh", "-c",
		"trap 'echo bye; exit 0' HUP; echo ready; while :; do sleep 0.1; done", tag,
	}})
	r.waitFor("ready")
	r.cancel(errSessionOver)
	p.wantKilled(r, tag)
	if out := r.stdout.String(); out != "ready\nbye\n" {
		p.Errorf("got %q", out)
	}
}

func killedByKILL(p *taskFixture) {
	tag := newSession()
	r := p.start(backends.Program{Argv: []string{
		"sh", "-c",
		"trap '' HUP TERM; sh -c 'while :; do sleep 0.1; done' " + tag +
			" & echo ready; while :; do sleep 0.1; done", tag,
	}})
	r.waitFor("ready")
	startTime := time.Now()
	r.cancel(errSessionOver)
	p.wantKilled(r, tag)
	if took := time.Since(startTime); took > testTimeout/2 {
		p.Errorf("took %s", took)
	}
}

func killedWithTerminal(p *taskFixture) {
	tag := newSession()
	r := p.start(backends.Program{
		Argv:     []string{"sh", "-c", "echo ready; sleep 300; echo " + tag, tag},
		Terminal: newTerminal(80, 24),
	})
	r.waitFor("ready")
	r.cancel(errSessionOver)
	p.wantKilled(r, tag)
}
