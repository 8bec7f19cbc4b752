package sshd

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/router"
)

// waitHandler prints the words of the command line to stderr, without a newline, and waits until it is canceled.
func waitHandler(ctx context.Context, req *router.Request) error {
	out := req.Console.ByteOutput.Stderr
	if req.Console.Terminal != nil {
		out = req.Console.ByteOutput.Stdout
	}
	io.WriteString(out, req.Session.Line)
	<-ctx.Done()
	return context.Cause(ctx)
}

const (
	notice2s = "nomadctld: the gateway is stopping; this command will be stopped in 2s"
	stopped  = "nomadctld: the gateway is shutting down"
)

// TestStop_NoticeAtOnce expects the message before the grace period, on a line of its own.
func TestStop_NoticeAtOnce(t *testing.T) {
	for name, terminal := range map[string]bool{"pipe": false, "terminal": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startSimulated(t, Limits{}, waitHandler)
				session, err := s.annsClient(t).NewSession()
				if err != nil {
					t.Fatal(err)
				}
				stdout, _ := session.StdoutPipe()
				stderr, _ := session.StderrPipe()
				out, newline, last := stderr, "\n", stderr
				if terminal {
					session.RequestPty("xterm", 24, 80, gossh.TerminalModes{})
					out, newline = stdout, "\r\n"
				}
				if err := session.Start("half"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				start := time.Now()
				s.stop()
				lines := bufio.NewReader(out)
				for _, want := range []string{"half", notice2s} {
					if got, err := lines.ReadString('\n'); got != want+newline {
						t.Errorf("got %q, %v, want %q", got, err, want)
					}
				}
				if waited := time.Since(start); waited >= time.Second {
					t.Errorf("the message arrived after %s, want at once", waited)
				}
				rest := lines
				if terminal { // the error is on stderr
					rest = bufio.NewReader(last)
				}
				if got, _ := io.ReadAll(rest); string(got) != stopped+newline {
					t.Errorf("got %q at the end, want %q", got, stopped)
				}
			})
		})
	}
}

// TestStop_NoticeToLateCommand starts a command on an open connection while the server is stopping.
func TestStop_NoticeToLateCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{}, waitHandler)
		client := s.annsClient(t)
		first, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Start("first"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.stop()
		time.Sleep(1100 * time.Millisecond)
		late, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		late.Stderr = &stderr
		late.Run("late")
		want := "nomadctld: the gateway is stopping; this command will be stopped in 1s\nlate" + stopped + "\n"
		if stderr.String() != want {
			t.Errorf("got %q, want %q", stderr.String(), want)
		}
	})
}

// TestStop_NoticeToStalledClient expects that a client that does not read delays neither others nor the server.
func TestStop_NoticeToStalledClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{}, func(ctx context.Context, req *router.Request) error {
			if req.Session.Line == "flood" {
				for {
					if _, err := req.Console.ByteOutput.Stderr.Write(make([]byte, 32<<10)); err != nil {
						return err
					}
				}
			}
			return waitHandler(ctx, req)
		})
		stalled, _ := openSession(t, s.annsClient(t))
		stalled.SendRequest("exec", true, execRequest("flood"))
		session, err := s.annsClient(t).NewSession()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		session.Stderr = &stderr
		if err := session.Start("wait"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.stop()
		session.Wait()
		if want := "wait\n" + notice2s + "\n" + stopped + "\n"; stderr.String() != want {
			t.Errorf("got %q, want %q", stderr.String(), want)
		}
		select {
		case <-s.stopped:
		case <-time.After(time.Minute):
			t.Error("Serve waits for a client that does not read")
		}
	})
}
