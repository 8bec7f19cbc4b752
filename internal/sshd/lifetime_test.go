package sshd

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// TestLifetime_WarnsThenCloses expects a warning, and then that all commands are stopped. One starts after the warning.
func TestLifetime_WarnsThenCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{Lifetime: 12 * time.Hour}, waitHandler)
		client := s.annsClient(t)
		start := time.Now()
		run := func(line string, stderr *bytes.Buffer) (wait func() error) {
			session, err := client.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			session.Stderr = stderr
			if err := session.Start(line); err != nil {
				t.Fatal(err)
			}
			return session.Wait
		}
		var first, late bytes.Buffer
		waitFirst := run("first", &first)
		time.Sleep(12*time.Hour - 2*time.Minute - 10*time.Millisecond)
		waitLate := run("late", &late)
		waitFirst()
		waitLate()
		if took := time.Since(start).Round(time.Second); took != 12*time.Hour {
			t.Errorf("ended after %s, want 12h", took)
		}
		const ended = "nomadctld: closed 12h0m0s after the login (limits.lifetime); connect again\n"
		if want := "first\nnomadctld: this connection will be closed in 5m0s (limits.lifetime)\n" +
			ended; first.String() != want {
			t.Errorf("got %q, want %q", first.String(), want)
		}
		warning := []byte("nomadctld: this connection will be closed in 2m")
		if !bytes.Contains(late.Bytes(), warning) || !bytes.HasSuffix(late.Bytes(), []byte(ended)) {
			t.Errorf("got %q, want the warning and the end", late.String())
		}
		client.Wait()
		if took := time.Since(start).Round(time.Second); took > 12*time.Hour+15*time.Second {
			t.Errorf("the connection was closed after %s", took)
		}
	})
}

// TestLifetime_NoCommand expects that a connection without a command is closed, and that 0 means no limit.
func TestLifetime_NoCommand(t *testing.T) {
	for lifetime, want := range map[time.Duration]time.Duration{time.Minute: time.Minute, 0: 2 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := startSimulated(t, Limits{Lifetime: lifetime}, waitHandler)
			client := s.annsClient(t)
			start := time.Now()
			client.Wait()
			if took := time.Since(start).Round(time.Second); took != want {
				t.Errorf("lifetime %s: closed after %s, want %s", lifetime, took, want)
			}
		})
	}
}
