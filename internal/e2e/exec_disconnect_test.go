package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
)

// TestExec_DisconnectKillsProgram disconnects clients in several ways, and searches the task for their programs.
func TestExec_DisconnectKillsProgram(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		second := gatewaytest.Start(t, p.url, p.settings)
		killed := func(cmd *exec.Cmd) { cmd.Process.Kill() }
		t.Run("left", func(t *testing.T) {
			for _, c := range []struct {
				name, trap string
				leave      func(cmd *exec.Cmd)
			}{
				{"killed", "", killed},
				{"interrupted", "", func(cmd *exec.Cmd) { cmd.Process.Signal(syscall.SIGINT) }},
				{"ignored", "trap : HUP TERM;", killed},
			} {
				for _, terminal := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, terminal %v", c.name, terminal), func(t *testing.T) {
						t.Parallel()
						name := "left" + newAllocation()[:8]
						cmd := p.SSH("wim", fmt.Sprintf("exec p-team1-box -c '%s echo ready; while :; do sleep 0.1; done; : %s'",
							c.trap, name))
						if terminal {
							cmd.Args = append([]string{"ssh", "-tt"}, cmd.Args[1:]...)
						}
						p.checkAbandoned(t, cmd, name, func() { c.leave(cmd) })
					})
				}
			}
			// The program gets HUP, then TERM, with time to handle each.
			t.Run("signal order", func(t *testing.T) {
				t.Parallel()
				file := "/tmp/" + newAllocation()
				name := "left" + newAllocation()[:8]
				trapping := p.SSH("wim", fmt.Sprintf("exec p-team1-box -c 'trap \"echo hup >>%[1]s\" HUP; trap \"echo term "+
					">>%[1]s; exit\" TERM; echo ready; while :; do sleep 0.1; done; : %[2]s'", file, name))
				p.checkAbandoned(t, trapping, name, func() { killed(trapping) })
				if out, err := p.SSH("wim", fmt.Sprintf("exec p-team1-box -c 'cat %[1]s; rm %[1]s'",
					file)).Output(); string(out) != "hup\nterm\n" || err != nil {
					t.Errorf("got the signals %q, %v", out, err)
				}
			})
			t.Run("the gateway stops", func(t *testing.T) {
				t.Parallel()
				name := "left" + newAllocation()[:8]
				cmd := p.SSH("wim", fmt.Sprintf("exec p-team1-box -c 'echo ready; while :; do sleep 0.1; done; : %s'", name))
				cmd.Args[2] = second.Dir.Path("ssh_config")
				p.checkAbandoned(t, cmd, name, second.Stop)
			})
		})
		for _, e := range append(p.Events(t), second.Events(t)...) {
			if strings.Contains(e.Error, "may still run") {
				t.Errorf("%q: %s", e.Line, e.Error)
			}
		}
	})
}

// TestExec_BrokenUploadHasNoEOF kills the client during an upload. The program must not see EOF.
func TestExec_BrokenUploadHasNoEOF(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		for i := range 3 {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				name := "left" + newAllocation()[:8]
				file := "/tmp/" + name
				cmd := p.SSH("wim", fmt.Sprintf("exec p-team1-box -c ': >%[1]s.new; echo ready; cat >%[1]s.new && "+
					"mv %[1]s.new %[1]s; : %[2]s'", file, name))
				p.checkAbandoned(t, cmd, name, func() { cmd.Process.Kill() })
				check := fmt.Sprintf("exec p-team1-box -c 'test -e %[1]s.new && test ! -e %[1]s; code=$?; rm -f "+
					"%[1]s.new %[1]s; exit $code'", file)
				if out, err := p.SSH("wim", check).CombinedOutput(); err != nil {
					t.Errorf("%s, %v", out, err)
				}
			})
		}
	})
}

// TestOutput_ClosedByClient runs ssh gw ... | head. OpenSSH reports that its output is closed, and waits for the
// server.
func TestOutput_ClosedByClient(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		const script = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); echo line $i; done"
		p.Cluster.AddJob(nomadsim.Job{ID: "p-team1-long", Groups: []nomadsim.Group{{Name: "g", Tasks: []nomadsim.Task{{
			Name: "t", Driver: "raw_exec", Command: []string{"/bin/sh", "-c", script + "; exec sleep 600"},
		}}}}})
		testenv.Eventually(t, "its log exceeds all buffers on the path", func() bool {
			out, _ := p.SSH("wim", "logs -n 1 p-team1-long/g/t").Output()
			return string(out) == "line 400000\n"
		})
		for _, c := range []struct {
			line, want string
			codes      []int
		}{
			{"exec p-team1-box yes", "y\n", []int{141}},
			{"exec p-team1-box -c '" + script + "; sleep 60'", "line 1\n", []int{141}},
			// The program exits normally if it writes b before the close arrives.
			{"exec p-team1-box -c 'echo a; sleep 0.3; echo b; sleep 1; exit 3'", "a\n", []int{3, 141}},
			{"logs -n all p-team1-long/g/t", "line 1\n", []int{141}},
			{"tail -n all p-team1-long/g/t", "line [0-9]+\n", []int{141}}, // may report skipped lines
		} {
			before := len(p.Events(t))
			cmd := exec.Command("sh", "-c", `{ "$@"; echo $? >&2; } | head -n 1`, "sh")
			cmd.Args = append(cmd.Args, p.SSH("wim", c.line).Args...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			want := regexp.MustCompile(fmt.Sprintf("^%s(?:nomadctld: [0-9]+ lines? skipped here: .*\n)*([0-9]+)\n$", c.want))
			got := want.FindStringSubmatch(stdout.String() + stderr.String())
			if got == nil {
				t.Errorf("%s: got %q, want %s", c.line, stdout.String()+stderr.String(), want)
				continue
			}
			code, _ := strconv.Atoi(got[1])
			if !slices.Contains(c.codes, code) {
				t.Errorf("%s: got %d, want one of %v", c.line, code, c.codes)
			}
			testenv.Eventually(t, "the audit event is written", func() bool { return len(p.Events(t)) > before })
			if e := p.LastEvent(t); e.ExitCode != code {
				t.Errorf("%s: the client got %d, the event %+v", c.line, code, e)
			}
		}
		left := "exec p-team1-box -c 'for p in /proc/[0-9]*; do tr \"\\0\" \" \" <$p/cmdline 2>/dev/null | grep -q " +
			"\"^ye[s] \" && echo $p; done; :'"
		if out, err := p.SSH("wim", left).Output(); err != nil || len(out) > 0 {
			t.Errorf("still running: %s, %v", out, err)
		}
	})
}

// TestExec_GatewayStops checks that the client gets an error message, and not 255, which ssh returns for a lost
// connection.
func TestExec_GatewayStops(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		g := gatewaytest.Start(t, p.url, p.settings)
		cmd := g.SSH("wim", "exec p-team1-box -c 'echo ready; exec sleep 60'")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		startAndExpect(t, cmd, "ready\n")
		g.Stop()
		cmd.Wait()
		const want = "the gateway is shutting down"
		const lines = "nomadctld: the gateway is stopping; this command will be stopped in 5s\nnomadctld: " + want + "\n"
		if code := cmd.ProcessState.ExitCode(); code != 125 || stderr.String() != lines {
			t.Errorf("got %d, %q", code, stderr.String())
		}
		if e := g.LastEvent(t); e.Error != want || e.ExitCode != 125 {
			t.Errorf("got the event %+v", e)
		}
	})
}

// startAndExpect starts a command, waits for the start of its output, and returns the rest.
func startAndExpect(t *testing.T, cmd *exec.Cmd, start string) (rest io.Reader) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(start))
	if _, err := io.ReadFull(out, got); err != nil || string(got) != start {
		t.Fatalf("%q: got %q, %v, want %q", cmd.Args, got, err, start)
	}
	return out
}

// checkAbandoned starts a program whose command line contains marker, calls leave, and checks that the program is
// killed.
func (p execPath) checkAbandoned(t *testing.T, cmd *exec.Cmd, marker string, leave func()) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	startAndExpect(t, cmd, "ready")
	defer cmd.Wait()
	defer cmd.Process.Kill()
	leave()
	// The brackets keep grep from matching its own command line.
	search := fmt.Sprintf("exec p-team1-box -c 'for p in /proc/[0-9]*; do tr \"\\0\" \" \" <$p/cmdline 2>/dev/null | "+
		"grep -q \"[l]%s\" && echo $p; done; :'", marker[1:])
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		found, err := p.SSH("wim", search).Output()
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("still running: %s", found)
			return
		}
	}
}
