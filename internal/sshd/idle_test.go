package sshd

import (
	"bufio"
	"io"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

const (
	idleWarningText = "nomadctld: no input or output for 59m0s; this session will be closed in 1m0s (limits.idle)\r\n"
	idleClosedText  = "nomadctld: closed after 1h0m0s without input or output (limits.idle)\r\n"
)

// idleSession starts a command with a terminal that waits, and returns its input and its output after the first line.
func idleSession(t *testing.T, s *testServer) (session *gossh.Session, stdin io.Writer, stdout, stderr *bufio.Reader) {
	t.Helper()
	session, err := s.annsClient(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	stdin, _ = session.StdinPipe()
	out, _ := session.StdoutPipe()
	problems, _ := session.StderrPipe()
	session.RequestPty("xterm", 24, 80, gossh.TerminalModes{})
	if err := session.Start("wait\r\n"); err != nil {
		t.Fatal(err)
	}
	stdout = bufio.NewReader(out)
	if line, err := stdout.ReadString('\n'); line != "wait\r\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	return session, stdin, stdout, bufio.NewReader(problems)
}

// TestIdle_Warning expects a warning before the end, which does not count as output of the session.
func TestIdle_Warning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{IdleTimeout: time.Hour}, waitHandler)
		session, _, stdout, stderr := idleSession(t, s)
		start := time.Now()
		for _, step := range []struct {
			from *bufio.Reader
			want string
			at   time.Duration
		}{{stdout, idleWarningText, 59 * time.Minute}, {stderr, idleClosedText, time.Hour}} {
			line, err := step.from.ReadString('\n')
			if took := time.Since(start).Round(time.Second); line != step.want || took != step.at {
				t.Errorf("got %q, %v after %s, want %q after %s", line, err, took, step.want, step.at)
			}
		}
		session.Wait()
	})
}

// TestIdle_InputAfterWarning expects a whole new period after input.
func TestIdle_InputAfterWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{IdleTimeout: time.Hour}, waitHandler)
		_, stdin, stdout, stderr := idleSession(t, s)
		if line, _ := stdout.ReadString('\n'); line != idleWarningText {
			t.Errorf("got %q, want the warning", line)
		}
		time.Sleep(30 * time.Second)
		io.WriteString(stdin, "x")
		start := time.Now()
		if line, _ := stdout.ReadString('\n'); line != idleWarningText {
			t.Errorf("got %q, want a second warning", line)
		}
		if line, _ := stderr.ReadString('\n'); line != idleClosedText {
			t.Errorf("got %q, want the end", line)
		}
		if took := time.Since(start).Round(time.Second); took != time.Hour {
			t.Errorf("closed %s after the input, want 1h", took)
		}
	})
}

// TestIdle_NoWarningWithoutTerminal expects no warning if the session will not be closed.
func TestIdle_NoWarningWithoutTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{IdleTimeout: time.Hour}, waitHandler)
		session, err := s.annsClient(t).NewSession()
		if err != nil {
			t.Fatal(err)
		}
		stderr, _ := session.StderrPipe()
		if err := session.Start("wait"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Hour)
		s.stop()
		if got, _ := io.ReadAll(stderr); string(got) != "wait\n"+notice2s+"\n"+stopped+"\n" {
			t.Errorf("got %q", got)
		}
	})
}
