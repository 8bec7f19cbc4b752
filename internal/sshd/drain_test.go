package sshd

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/router"
)

const (
	drainText  = "nomadctld: the gateway will be stopped soon; connect again for new commands"
	drainError = "nomadctld: the gateway will be stopped soon and accepts no new commands; connect again"
)

// startLine starts a command and returns its session and stderr.
func startLine(t *testing.T, client *gossh.Client, line string) (*gossh.Session, *bytes.Buffer) {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	session.Stderr = &stderr
	if err := session.Start(line); err != nil {
		t.Fatal(err)
	}
	return session, &stderr
}

func isDrained(s *testServer) bool {
	synctest.Wait()
	select {
	case <-s.Drained():
		return true
	default:
		return false
	}
}

// TestDrain_RunningCommandsContinue drains a server with an idle connection and a running command, which ends by itself
// after a minute.
func TestDrain_RunningCommandsContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{}, func(ctx context.Context, req *router.Request) error {
			if req.Session.Refusal != nil {
				return req.Session.Refusal
			}
			select {
			case <-time.After(time.Minute):
				return router.ProgramExit(3)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		busy, idle := s.annsClient(t), s.annsClient(t)
		session, stderr := startLine(t, busy, "long")
		synctest.Wait()
		s.Drain()
		s.Drain()
		if isDrained(s) {
			t.Error("drained while a command is running")
		}
		if _, err := s.dial(t, "ann", s.ann); err == nil {
			t.Error("a new connection was accepted")
		}
		time.Sleep(time.Second)
		if _, err := idle.NewSession(); err == nil {
			t.Error("an idle connection stays open")
		}
		late, lateStderr := startLine(t, busy, "late")
		if err := late.Wait(); exitCode(err) != router.CodeTryLater || lateStderr.String() != drainError+"\n" {
			t.Errorf("a new command: got %v, %q, want %d, %q", err, lateStderr, router.CodeTryLater, drainError)
		}
		if err := session.Wait(); exitCode(err) != 3 || stderr.String() != drainText+"\n" {
			t.Errorf("the running command: got %v, %q, want 3, %q", err, stderr, drainText)
		}
		time.Sleep(time.Second)
		if !isDrained(s) {
			t.Error("not drained after the last command")
		}
		select {
		case <-s.stopped:
			t.Error("Serve has returned")
		default:
		}
	})
}

// TestDrain_ThenStop expects both notices, and the end of the command after the grace period.
func TestDrain_ThenStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{}, waitHandler)
		session, stderr := startLine(t, s.annsClient(t), "x")
		synctest.Wait()
		s.Drain()
		time.Sleep(time.Hour)
		s.stop()
		start := time.Now()
		session.Wait()
		if want := "x\n" + drainText + "\n" + notice2s + "\n" + stopped + "\n"; stderr.String() != want {
			t.Errorf("got %q, want %q", stderr, want)
		}
		if took := time.Since(start); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("stopped after %s, want the grace period of 2s", took)
		}
	})
}

func exitCode(err error) int {
	if exit, ok := err.(*gossh.ExitError); ok {
		return exit.ExitStatus()
	}
	return -1
}
