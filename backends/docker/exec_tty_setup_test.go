package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
	"nomadctld/internal/testenv/dockertest"
)

func TestTTYSetup_MarkInChunks(t *testing.T) {
	for _, c := range []struct {
		state, after, want string
		err                error
	}{
		{"0", "out\x01put", "out\x01put", nil},
		{"0", "", "", nil},
		{"6", "noise", "", backends.ErrNotExecutable},
		{"7", "noise", "", backends.ErrProgramNotFound},
	} {
		for size := 1; size < 60; size++ {
			var out bytes.Buffer
			p := newTTYSetup(backends.Program{Argv: []string{"x"}, Terminal: terminalSize{80, 24}, Stdout: &out})
			text := strings.Repeat("noise\x01", 100) + string(p.marker) + c.state + "\x02" + c.after
			for len(text) > 0 {
				chunk := text[:min(size, len(text))]
				if n, err := p.Write([]byte(chunk)); n != len(chunk) || err != nil {
					t.Fatalf("got %d, %v", n, err)
				}
				text = text[len(chunk):]
			}
			select {
			case <-p.started:
			default:
				t.Errorf("%q in chunks of %d: the program has not started", c.after, size)
			}
			if err := p.check("x", true); out.String() != c.want || !errors.Is(err, c.err) {
				t.Errorf("%q in chunks of %d: got %q, %v", c.after, size, out.String(), err)
			}
		}
	}
	p := newTTYSetup(backends.Program{Argv: []string{"x"}, Terminal: terminalSize{80, 24}, Stdout: io.Discard})
	p.Write([]byte("output without a marker"))
	if err := p.check("x", false); !errors.Is(err, errNoSetupShell) {
		t.Errorf("no marker and no shell: got %v", err)
	}
	if err := p.check("x", true); err == nil || errors.Is(err, errNoSetupShell) {
		t.Errorf("shell without marker: got %v", err)
	}
	p.state = setupDone
	if err := p.check("x", false); err == nil || errors.Is(err, errNoSetupShell) {
		t.Errorf("marker without shell: got %v", err)
	}
}

// TestTTYSetup_MarkerMissing: the shell starts, prints no marker and exits with 0.
func TestTTYSetup_MarkerMissing(t *testing.T) {
	t.Parallel()
	d := &scriptedDaemon{terminal: true, keepsRunning: true}
	d.stream = func(conn *net.TCPConn) {
		io.WriteString(conn, "output of the program\r\n")
		d.exit(0)
		conn.Close()
	}
	docker, in := d.open(t)
	out, code, err := run(t, docker, in, backends.Program{Argv: []string{"x"}, Terminal: terminalSize{80, 24}})
	if err == nil || out != "" || d.created.Load() != 1 {
		t.Errorf("got %q, %d, %v; %d execs were created", out, code, err, d.created.Load())
	}
}

// TestTTYSetup_NoPrintf runs the script in shells without printf.
func TestTTYSetup_NoPrintf(t *testing.T) {
	for _, c := range []struct {
		shell, before, want string
	}{
		{"dash", "printf() { return 127; }\n", ""},
		{"mksh", "", "run\n"},
		{"oksh", "", "run\n"},
	} {
		path, err := exec.LookPath(c.shell)
		if err != nil {
			continue
		}
		p := newTTYSetup(backends.Program{Argv: []string{"/bin/echo", "run"}, Terminal: terminalSize{80, 24}})
		var out bytes.Buffer
		p.stdout = &out
		args := slices.Clone(p.argv[1:])
		args[1] = c.before + args[1]
		cmd := exec.Command(path, args...)
		cmd.Env = []string{"PATH=" + t.TempDir()}
		cmd.Stdout = p
		if err := cmd.Run(); (err == nil) != (c.want != "") || out.String() != c.want ||
			(p.state == setupDone) != (c.want != "") {
			t.Errorf("%s: got %q, %v, state %q; the last output was %q", c.shell, out.String(), err, p.state,
				p.buffered)
		}
	}
}

// TestTTYSetup_ShellCannotReport uses an image whose shell has neither printf nor print.
func TestTTYSetup_ShellCannotReport(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in, id := startTaskWith(t, dockerclient.Config{
		Image: dockertest.BareImage(t),
		Cmd:   []string{"/bin/busybox", "sleep", "600"},
	}, nil)
	shell := "#!/bin/busybox sh\nprintf() { return 127; }\nscript=$2\nshift 3\neval \"$script\"\n"
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	w.WriteHeader(&tar.Header{Name: "bin/sh", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(shell))})
	io.WriteString(w, shell)
	w.Close()
	if err := dockertest.Client(t).UploadToContainer(id, dockerclient.UploadToContainerOptions{
		InputStream: &packed,
		Path:        "/",
	}); err != nil {
		t.Fatal(err)
	}
	out, code, err := run(t, d, in, backends.Program{
		Argv:     []string{"/bin/busybox", "sh", "-c", "echo run >>/runs"},
		Terminal: terminalSize{80, 24},
	})
	if err == nil || out != "" {
		t.Errorf("got %q, %d, %v", out, code, err)
	}
	if runs, code, err := run(t, d, in, backends.Program{Argv: []string{
		"/bin/busybox", "cat",
		"/runs",
	}}); code == 0 || err != nil {
		t.Errorf("the program ran: got %q, %v", runs, err)
	}
}

func TestShellsPassOn_Identifiers(t *testing.T) {
	for variable, want := range map[string]bool{
		"A=b": true, "_a9=x.y=z": true, "A": true, "A=": true,
		"a.b=1": false, "a-b=1": false, "9a=1": false, "=x": false, "": false, "\u00e4=1": false, "A\n=1": false,
	} {
		if got := shellsPassOn([]string{"PATH=/bin", variable}); got != want {
			t.Errorf("%q: got %v", variable, got)
		}
	}
}

// TestTTYSetup_VariableNames: the setup is skipped if a shell would drop a variable.
func TestTTYSetup_VariableNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		container string // JSON
		env       []string
		shell     bool
	}{
		"identifiers":          {`["JOB_X=1"]`, []string{"A_b=1"}, true},
		"container's variable": {`["JOB_X=1","job.x=1"]`, nil, false},
		"program's variable":   {`null`, []string{"A=1", "spring.x=1"}, false},
	} {
		d := &scriptedDaemon{terminal: true, env: c.container}
		d.stream = func(conn *net.TCPConn) {
			if marker := d.setupMarker(); marker != "" {
				io.WriteString(conn, "\x01"+marker+"0\x02")
			}
			io.WriteString(conn, "output\r\n")
			d.exit(0)
			conn.Close()
		}
		docker, in := d.open(t)
		out, code, err := run(t, docker, in, backends.Program{
			Argv: []string{"x"}, Env: c.env,
			Terminal: terminalSize{80, 24},
		})
		if out != "output\r\n" || code != 0 || err != nil || (d.setupMarker() != "") != c.shell || d.created.Load() != 1 {
			t.Errorf("%s: got %q, %d, %v from %q", name, out, code, err, d.argv.Load())
		}
	}
}

func TestExecTerminal_KeepsVariables(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	for name, c := range map[string]struct{ container, env []string }{
		"container's variable": {[]string{"job.x=1"}, nil},
		"program's variable":   {nil, []string{"spring.x=2"}},
	} {
		in, _ := startTaskWith(t, dockerclient.Config{Cmd: []string{"sleep", "600"}, Env: c.container}, nil)
		out, code, err := run(t, d, in, backends.Program{
			Argv: []string{"env"}, Env: c.env,
			Terminal: terminalSize{80, 24},
		})
		if want := slices.Concat(c.container, c.env)[0] + "\r\n"; !strings.Contains(out, want) || code != 0 ||
			err != nil {
			t.Errorf("%s: got %q, %d, %v", name, out, code, err)
		}
	}
}

func TestTTYSetup_OnlyIfUseful(t *testing.T) {
	for name, c := range map[string]struct {
		program backends.Program
		want    bool
	}{
		"no terminal":   {backends.Program{Modes: backends.TerminalModes{42: 1}}, false},
		"nothing known": {backends.Program{Terminal: terminalSize{}, Modes: backends.TerminalModes{128: 9600}}, false},
		"size":          {backends.Program{Terminal: terminalSize{80, 24}}, true},
		"modes":         {backends.Program{Terminal: terminalSize{}, Modes: backends.TerminalModes{42: 1}}, true},
	} {
		if got := newTTYSetup(c.program) != nil; got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// TestTTYSetup_EveryShell runs the script in every installed shell with a fake stty that rejects some modes and records
// its arguments in a file.
func TestTTYSetup_EveryShell(t *testing.T) {
	dir := t.TempDir()
	stty := "#!/bin/sh\nfor w; do [ \"$w\" != iutf8 ] && [ \"$w\" != swtch ] || exit 1; done\n" +
		"echo \"$*\" >>" + dir + "/called\n"
	if err := os.WriteFile(filepath.Join(dir, "stty"), []byte(stty), 0o755); err != nil {
		t.Fatal(err)
	}
	modes := backends.TerminalModes{3: 8, 16: 1, 42: 1, 53: 0}
	for _, shell := range [][]string{
		{"dash"},
		{"bash", "--posix"},
		{"busybox", "sh"},
		{"mksh"},
		{"yash"},
		{"ksh"},
		{"zsh", "--emulate", "sh"},
	} {
		if _, err := exec.LookPath(shell[0]); err != nil {
			continue
		}
		os.Remove(filepath.Join(dir, "called"))
		p := newTTYSetup(backends.Program{
			Argv:     []string{"printf", "<%s>", "a  b", "", "*"},
			Terminal: terminalSize{80, 24}, Modes: modes,
		})
		var out bytes.Buffer
		p.stdout = &out
		cmd := exec.Command(shell[0], append(shell[1:], p.argv[1:]...)...)
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
		cmd.Stdout, cmd.Stderr = p, p
		if err := cmd.Run(); err != nil || out.String() != "<a  b><><*>" {
			t.Errorf("%s: got %q, %v", shell, out.String(), err)
		}
		called, _ := os.ReadFile(filepath.Join(dir, "called"))
		// Busybox may have its own stty.
		if want := "rows 24 cols 80\n-echo\nerase ^H\n"; string(called) != want && shell[0] != "busybox" {
			t.Errorf("%s: stty was called with %q, want %q", shell, called, want)
		}
	}
}

// TestTTYSetup_NoShell uses an image that has only the program. It runs without setup.
func TestTTYSetup_NoShell(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in := backends.TaskRef{
		Task: "web", Node: Node{Name: "node-1"},
		Allocation: backends.Allocation{ID: newAllocation()},
	}
	dockertest.RunWith(t, "web-"+in.Allocation.ID, dockerclient.Config{
		Image: dockertest.BareImage(t), Labels: labels(in.Allocation.ID), Cmd: []string{"/bin/busybox", "sleep", "600"},
	}, nil)
	program := backends.Program{
		Argv: []string{"/bin/busybox", "cat"}, Terminal: terminalSize{80, 24},
		Modes: backends.TerminalModes{42: 1, 53: 0}, Stdin: strings.NewReader("typed\n"),
	}
	if out, code, err := run(t, d, in, program); !strings.HasSuffix(out, "typed\r\n") || code != 0 || err != nil {
		t.Errorf("got %q, %d, %v", out, code, err)
	}
	program.Argv, program.Stdin = []string{"nope"}, nil
	if out, code, err := run(t, d, in, program); out != "" || !errors.Is(err, backends.ErrProgramNotFound) ||
		strings.Contains(err.Error(), "/bin/sh") {
		t.Errorf("got %q, %d, %v", out, code, err)
	}
}
