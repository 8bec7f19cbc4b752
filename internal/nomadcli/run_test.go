//go:build linux

package nomadcli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"
)

// runShell runs a shell script as the nomad binary.
func runShell(t *testing.T, ctx context.Context, b Binary, c Cluster, script string, stdin io.Reader,
	term *Terminal,
) (code int, stdout, stderr string, err error) {
	t.Helper()
	var out, errOut bytes.Buffer
	b.Path = "/bin/sh"
	code, err = b.run(ctx, c, []string{"-c", script}, stdin, &out, &errOut, term)
	return code, out.String(), errOut.String(), err
}

// endlessStdin returns a stdin that never ends.
func endlessStdin(t *testing.T) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	return r
}

func TestRun_Streams(t *testing.T) {
	t.Parallel()
	in := make([]byte, 1<<20)
	for i := range in {
		in[i] = byte(i ^ i>>8)
	}
	code, stdout, stderr, err := runShell(t, t.Context(), Binary{}, Cluster{}, `cat; printf 'e\r\n\000' >&2; exit 3`,
		bytes.NewReader(in), nil)
	if code != 3 || err != nil || stdout != string(in) || stderr != "e\r\n\x00" {
		t.Errorf("got %d, %v, %d bytes and %q; want 3, the %d bytes of stdin and %q", code, err, len(stdout), stderr, len(in),
			"e\r\n\x00")
	}
}

func TestRun_SignalExitCode(t *testing.T) {
	t.Parallel()
	for _, sig := range []unix.Signal{unix.SIGKILL, unix.SIGTERM} {
		code, _, _, err := runShell(t, t.Context(), Binary{}, Cluster{}, fmt.Sprintf("kill -%d $$", int(sig)), nil, nil)
		if want := 128 + int(sig); code != want || err != nil {
			t.Errorf("got %d, %v; want %d", code, err, want)
		}
	}
}

func TestRun_UnreadStdin(t *testing.T) {
	t.Parallel()
	for name, stdin := range map[string]io.Reader{"silent": endlessStdin(t), "full": zeroReader{}, "none": nil} {
		for _, term := range []*Terminal{nil, {Name: "xterm"}} {
			if code, stdout, _, err := runShell(t, t.Context(), Binary{}, Cluster{}, `echo x; exit 5`, stdin, term); code != 5 ||
				err != nil || !strings.Contains(stdout, "x") {
				t.Errorf("%s, terminal %t: got %d, %q, %v; want 5, x", name, term != nil, code, stdout, err)
			}
		}
	}
}

func TestRun_BrokenInputIsNotEOF(t *testing.T) {
	t.Parallel()
	for _, term := range []*Terminal{nil, {Name: "xterm"}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("cause")
		time.AfterFunc(500*time.Millisecond, func() { cancel(cause) }) // bounds the wait for output that must not appear
		in := io.MultiReader(strings.NewReader("half\n"), iotest.ErrReader(cause))
		if _, stdout, _, err := runShell(t, ctx, Binary{}, Cluster{}, `cat; echo whole`, in, term); !errors.Is(err, cause) ||
			strings.Contains(stdout, "whole") {
			t.Errorf("terminal %t: got %q, %v", term != nil, stdout, err)
		}
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestRun_Environment(t *testing.T) {
	t.Setenv("NOMADCTLD_TEST_SECRET", "x")
	t.Setenv("NOMAD_REGION", "x")
	c := Cluster{URL: "https://n:1", Token: "tok", Namespace: "ns"}
	_, stdout, _, err := runShell(t, t.Context(), Binary{}, c, `pwd; exec env`, nil, nil)
	pwd, env, _ := strings.Cut(strings.TrimSpace(stdout), "\n")
	want := []string{
		"HOME=" + pwd, "LANG=C.UTF-8", "NOMAD_ADDR=unix://" + pwd + "/nomad.sock", "NOMAD_CLI_NO_COLOR=1",
		"NOMAD_CLI_SHOW_HINTS=false",
		"NOMAD_NAMESPACE=ns", "PATH=/usr/bin:/bin", "PWD=" + pwd, "TMPDIR=" + pwd,
	}
	got := slices.Sorted(slices.Values(strings.Split(env, "\n")))
	got = slices.DeleteFunc(got, func(s string) bool { // set by the shell
		return strings.HasPrefix(s, "_=") || strings.HasPrefix(s, "OLDPWD")
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestRun_PrivateDirectoryIsRemoved(t *testing.T) {
	t.Parallel()
	_, stdout, stderr, err := runShell(t, t.Context(), Binary{}, Cluster{},
		`stat -c %a .; ls -A; pwd; mkdir a; echo x >a/b; chmod 500 a`, nil, nil)
	lines := strings.Fields(stdout)
	if err != nil || len(lines) != 3 || lines[0] != "700" || lines[1] != "nomad.sock" {
		t.Fatalf("got %q, %q, %v; want 700 and a socket", stdout, stderr, err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root removes what is not writable")
	}
	if _, err := os.Stat(lines[2]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory: got %v, want it removed", err)
	}
}

func TestRun_ProgramHasNoToken(t *testing.T) {
	t.Parallel()
	_, stdout, _, _ := runShell(t, t.Context(), Binary{}, Cluster{Token: "hidden"},
		`tr '\000' ' ' </proc/$$/cmdline; env; tr '\000' ' ' </proc/$$/environ; cat * 2>&1`, nil, nil)
	if !strings.HasPrefix(stdout, "nomad -c ") || !strings.Contains(stdout, "NOMAD_ADDR") ||
		strings.Contains(stdout, "hidden") {
		t.Errorf("got %q, want the token in neither arguments nor environment", stdout)
	}
}

func TestRun_InheritsNoFile(t *testing.T) {
	t.Parallel()
	for _, term := range []*Terminal{nil, {}} {
		// 3 is the directory that ls reads.
		_, stdout, _, err := runShell(t, t.Context(), Binary{}, Cluster{}, `exec ls /proc/self/fd`, nil, term)
		if strings.Join(strings.Fields(stdout), " ") != "0 1 2 3" {
			t.Errorf("got %q, %v; want 0 1 2 3", stdout, err)
		}
	}
}

func TestRun_TerminalNameAndSize(t *testing.T) {
	t.Parallel()
	term := &Terminal{Name: "xterm-256color", Size: func() (int, int) { return 100, 40 }}
	code, stdout, stderr, err := runShell(t, t.Context(), Binary{}, Cluster{},
		`stty size; echo $TERM${NOMAD_CLI_NO_COLOR+ no color}; tty -s <&2; echo $? >&2; : </dev/tty && echo own`,
		endlessStdin(t), term)
	if want := "40 100\r\nxterm-256color\r\n0\r\nown\r\n"; stdout != want || stderr != "" || code != 0 || err != nil {
		t.Errorf("got %q, %q, %d, %v; want %q", stdout, stderr, code, err, want)
	}
	term.NoColor = true
	_, stdout, _, err = runShell(t, t.Context(), Binary{}, Cluster{}, `echo $NOMAD_CLI_NO_COLOR`, endlessStdin(t), term)
	if stdout != "1\r\n" || err != nil {
		t.Errorf("without colors: got %q, %v, want 1", stdout, err)
	}
	for name, want := range map[string]string{
		"": "dumb", "../../etc/x": "dumb", "a b": "dumb", "-x": "dumb",
		"vt100\n": "dumb", "screen.xterm": "screen.xterm",
	} {
		if got := terminalName(name); got != want {
			t.Errorf("terminalName(%q): got %q, want %q", name, got, want)
		}
	}
}

func TestRun_TerminalResize(t *testing.T) {
	t.Parallel()
	var stdout triggerBuffer
	resized := make(chan struct{}, 1)
	size := make(chan [2]int, 1)
	size <- [2]int{80, 24}
	term := &Terminal{Name: "xterm", Resized: resized, Size: func() (int, int) { s := <-size; return s[0], s[1] }}
	keys, typed := io.Pipe()
	stdout.when = map[string]func(){
		"ready":  func() { size <- [2]int{132, 50}; resized <- struct{}{} },
		"50 132": func() { go typed.Write([]byte("hello\r")) },
	}
	// A signal between two commands would not interrupt a read that starts after it.
	script := `trap resized=1 WINCH; echo ready; until [ "$resized" ]; do sleep 0.1; done; stty size; ` +
		`read -r line; echo got $line`
	args := []string{"-c", script}
	code, err := Binary{Path: "/bin/sh"}.run(t.Context(), Cluster{}, args, keys, &stdout, io.Discard, term)
	if got := stdout.buf.String(); code != 0 || err != nil || !strings.HasSuffix(got, "got hello\r\n") {
		t.Errorf("got %q, %d, %v; want the new size, then got hello", got, code, err)
	}
}

// triggerBuffer calls a function when a text has been written.
type triggerBuffer struct {
	buf  bytes.Buffer
	when map[string]func()
}

func (s *triggerBuffer) Write(p []byte) (int, error) {
	s.buf.Write(p)
	for text, do := range s.when {
		if strings.Contains(s.buf.String(), text) {
			delete(s.when, text)
			do()
		}
	}
	return len(p), nil
}

func TestRun_CancelKills(t *testing.T) {
	t.Parallel()
	for _, term := range []*Terminal{nil, {Name: "xterm"}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("canceled")
		stdout := triggerBuffer{when: map[string]func(){"both": func() { cancel(cause) }}}
		script := `trap '' HUP TERM; sh -c 'trap "" HUP TERM; echo $$ both; while :; do sleep 1; done' & ` +
			`echo $$ one; while :; do sleep 1; done`
		code, err := Binary{Path: "/bin/sh", killGrace: 50 * time.Millisecond}.run(ctx, Cluster{}, []string{"-c", script},
			endlessStdin(t), &stdout, io.Discard, term)
		if code != 128+9 || !errors.Is(err, cause) {
			t.Errorf("got %d, %v; want 137, %v", code, err, cause)
		}
		for _, line := range strings.Split(strings.TrimSpace(stdout.buf.String()), "\n") {
			if pid, _, _ := strings.Cut(line, " "); !processExited(pid) {
				t.Errorf("process %s is still running, want it killed", pid)
			}
		}
	}
}

// processExited reports whether a process exits within a few seconds. A killed process closes its files before it
// exits, and a zombie counts as exited.
func processExited(pid string) bool {
	for range 100 {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		_, rest, _ := strings.Cut(string(stat), ") ")
		if err != nil || strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X") {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}

func TestRun_CancelSendsHUPFirst(t *testing.T) {
	t.Parallel()
	for sig, want := range map[string]int{"HUP": 3, "TERM": 4} {
		ctx, cancel := context.WithCancel(t.Context())
		stdout := triggerBuffer{when: map[string]func(){"ready": cancel}}
		script := map[string]string{
			"HUP":  `trap 'exit 3' HUP; trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done`,
			"TERM": `trap '' HUP; trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done`,
		}[sig]
		// HUP also kills the sleep, and the shell prints a message about that.
		code, err := Binary{Path: "/bin/sh"}.run(ctx, Cluster{}, []string{"-c", script}, nil, &stdout, io.Discard, nil)
		if code != want || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %d, %v; want %d, canceled", sig, code, err, want)
		}
	}
}

func TestRun_KillsChildren(t *testing.T) {
	t.Parallel()
	code, stdout, _, err := runShell(t, t.Context(), Binary{}, Cluster{},
		`sleep 1000 & echo $!; exit 2`, endlessStdin(t), nil)
	if pid := strings.TrimSpace(stdout); code != 2 || err != nil || pid == "" || !processExited(pid) {
		t.Errorf("got %d, %v, and process %q exited: %t; want 2 and true", code, err, pid, processExited(pid))
	}
}

func TestRun_DaemonizedChild(t *testing.T) {
	t.Parallel()
	code, stdout, _, err := runShell(t, t.Context(), Binary{}, Cluster{},
		`setsid sh -c 'echo $$; exec sleep 1000' & while [ -z "$(pgrep -P $$ -x sleep)" ]; do :; done; exit 2`, nil, nil)
	if pid := strings.TrimSpace(stdout); pid != "" {
		defer exec.Command("kill", pid).Run()
	}
	if code != 2 || err != nil || stdout == "" {
		t.Errorf("got %d, %q, %v; want 2 and a PID", code, stdout, err)
	}
}

func TestRun_OutputError(t *testing.T) {
	t.Parallel()
	full := errors.New("no more")
	code, err := Binary{Path: "/bin/sh"}.run(t.Context(), Cluster{}, []string{"-c", "exec yes"}, nil, failingWriter{full},
		io.Discard, nil)
	if code != 128+int(unix.SIGPIPE) || !errors.Is(err, full) {
		t.Errorf("got %d, %v; want 141, %v", code, err, full)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestRun_CanceledOrRefused(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "ran")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code, _, _, err := runShell(t, ctx, Binary{}, Cluster{}, "touch "+mark, nil, nil); code != -1 ||
		!errors.Is(err, context.Canceled) {
		t.Errorf("got %d, %v; want -1, canceled", code, err)
	}
	code, err := Binary{Path: "/bin/sh"}.Run(t.Context(), Cluster{}, []string{"-c", "touch " + mark},
		nil, io.Discard, io.Discard, nil)
	if code != -1 || err == nil {
		t.Errorf("got %d, %v; want -1 and an error", code, err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("got a program that ran, want none")
	}
	code, err = Binary{Path: "/nonexistent/nomad"}.Run(t.Context(), Cluster{}, []string{"status"},
		nil, io.Discard, io.Discard, nil)
	if code != -1 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %d, %v; want -1 and os.ErrNotExist", code, err)
	}
}

func TestRun_AsOtherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	if _, err := (Binary{User: "nobody"}).account(); err != nil {
		t.Skip(err)
	}
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, []byte("KEY"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := `id -un; id -G | wc -w; stat -c '%U %a' . nomad.sock; cat ` + key
	_, stdout, stderr, err := runShell(t, t.Context(), Binary{User: "nobody"}, Cluster{}, script, nil, nil)
	if want := "nobody\n1\nnobody 700\nnobody 600\n"; stdout != want || !strings.Contains(stderr, "denied") || err != nil {
		t.Errorf("got %q, %q, %v; want %q and permission denied for the key", stdout, stderr, err, want)
	}
	for name, want := range map[string]string{"no-such-user": "no user", "root": "unprivileged"} {
		if _, _, _, err := runShell(t, t.Context(), Binary{User: name}, Cluster{}, "", nil, nil); err == nil ||
			!strings.Contains(err.Error(), "raw.user") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want raw.user and %q", name, err, want)
		}
	}
}

// TestRun_LeaksNothing runs in a separate process, because other tests have files and goroutines too.
func TestRun_LeaksNothing(t *testing.T) {
	t.Parallel()
	const alone = "NOMADCTLD_TEST_ALONE"
	if os.Getenv(alone) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=60s")
		cmd.Env = append(os.Environ(), alone+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("got %v, want nothing left\n%s", err, out)
		}
		return
	}
	count := func() (files, goroutines int) {
		entries, _ := os.ReadDir("/proc/self/fd")
		return len(entries), runtime.NumGoroutine()
	}
	once := func() {
		for _, term := range []*Terminal{nil, {Name: "xterm", Resized: make(chan struct{})}} {
			runShell(t, t.Context(), Binary{}, Cluster{}, "cat; exit 3", strings.NewReader("x\n\x04"), term)
			runShell(t, t.Context(), Binary{}, Cluster{}, "exit 3", zeroReader{}, term)
			ctx, cancel := context.WithCancel(t.Context())
			stdout := triggerBuffer{when: map[string]func(){"x": cancel}}
			Binary{Path: "/bin/sh", killGrace: time.Millisecond}.run(ctx, Cluster{},
				[]string{"-c", "trap '' HUP TERM; echo x; while :; do sleep 1; done"}, zeroReader{}, &stdout, io.Discard, term)
			Binary{Path: "/nonexistent"}.run(t.Context(), Cluster{}, nil, nil, io.Discard, io.Discard, term)
		}
	}
	once()
	files, goroutines := count()
	for range 5 {
		once()
	}
	for range 500 {
		if f, g := count(); f <= files && g <= goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond) // until the last goroutines have seen that their files are closed
	}
	f, g := count()
	stacks := make([]byte, 1<<16)
	t.Errorf("got %d files and %d goroutines, want at most %d and %d\n%s", f, g, files, goroutines,
		stacks[:runtime.Stack(stacks, true)])
}
