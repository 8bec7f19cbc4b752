package sshd

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/internal/audit"
)

// recorder stores the log lines and audit events of a server.
type recorder struct {
	mu     sync.Mutex
	log    bytes.Buffer
	events []audit.Event
}

func (w *recorder) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *recorder) record(e audit.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *recorder) eventsOf(kinds ...audit.Kind) (found []audit.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if slices.Contains(kinds, e.Kind) {
			found = append(found, e)
		}
	}
	return found
}

func (w *recorder) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func startRecorded(t *testing.T) (*testServer, *recorder) {
	w := &recorder{}
	return startServerWith(t, Limits{}, whoHandler, func(s *Server) {
		s.Log, s.Record = slog.New(slog.NewTextHandler(w, nil)), w.record
	}), w
}

func TestEvents_LoginAndDisconnect(t *testing.T) {
	s, w := startRecorded(t)
	client := s.annsClient(t)
	runLine(t, client, "x")
	if got := w.eventsOf(audit.Login, audit.Disconnect); len(got) != 1 || got[0].Kind != audit.Login {
		t.Fatalf("got %+v, want one login", got)
	}
	client.Close()
	eventually(t, "the disconnect is recorded", func() bool { return len(w.eventsOf(audit.Disconnect)) == 1 })
	login, disconnect := w.eventsOf(audit.Login)[0], w.eventsOf(audit.Disconnect)[0]
	for _, e := range []audit.Event{login, disconnect} {
		if e.User != "ann" || e.Key != gossh.FingerprintSHA256(s.ann.PublicKey()) || e.Connection == "" ||
			e.Remote == "" || e.Decision != audit.Allowed || e.Time.IsZero() {
			t.Errorf("got %+v", e)
		}
	}
	if login.Connection != disconnect.Connection || !disconnect.Time.After(login.Time) {
		t.Errorf("got %+v and %+v", login, disconnect)
	}
	if refused := w.eventsOf(audit.LoginRefused); len(refused) != 0 {
		t.Errorf("got %+v", refused)
	}
}

func TestEvents_RefusedLogins(t *testing.T) {
	mallory := newKey(t)
	for _, tc := range []struct {
		name  string
		user  string
		keys  func(s *testServer) []gossh.Signer
		event func(s *testServer) (user string, key gossh.Signer, text, line string)
	}{
		{
			"unknown keys", "ann", func(s *testServer) []gossh.Signer { return []gossh.Signer{mallory, s.bob} },
			func(s *testServer) (string, gossh.Signer, string, string) {
				return "ann", mallory, "login failed: no such user with that key: " +
						gossh.FingerprintSHA256(mallory.PublicKey()) + ", " +
						gossh.FingerprintSHA256(s.bob.PublicKey()),
					"level=INFO msg=\"login failed\""
			},
		},
		{
			"forged signature", "ann", func(s *testServer) []gossh.Signer {
				return []gossh.Signer{
					mallory,
					mismatchedSigner{s.ann, mallory},
				}
			},
			func(s *testServer) (string, gossh.Signer, string, string) {
				return "ann", s.ann, "login with a forged signature: ssh: signature did not verify",
					"level=WARN msg=\"login with a forged signature\""
			},
		},
		{
			"key without signature", "ann",
			func(s *testServer) []gossh.Signer { return []gossh.Signer{unsigningSigner{s.ann}} },
			func(s *testServer) (string, gossh.Signer, string, string) {
				return "ann", s.ann,
					"login failed: the client offered a public key but did not sign with the private key",
					"level=INFO msg=\"login failed\""
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, w := startRecorded(t)
			if _, err := s.dial(t, tc.user, tc.keys(s)...); err == nil {
				t.Fatal("login succeeded")
			}
			eventually(t, "the event is recorded", func() bool { return len(w.eventsOf(audit.LoginRefused)) == 1 })
			user, key, text, line := tc.event(s)
			e := w.eventsOf(audit.LoginRefused)[0]
			if e.User != user || e.Key != gossh.FingerprintSHA256(key.PublicKey()) || e.Error != text ||
				e.Decision != audit.Denied || e.Connection == "" || e.Remote == "" {
				t.Errorf("got %+v, want error %q", e, text)
			}
			if got := w.text(); strings.Count(got, "\n") != 1 || !strings.Contains(got, line) {
				t.Errorf("got log %q, want %s", got, line)
			}
			if got := w.eventsOf(audit.Login, audit.Disconnect); len(got) != 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// unsigningSigner has a key and signs nothing.
type unsigningSigner struct{ gossh.Signer }

func (unsigningSigner) Sign(io.Reader, []byte) (*gossh.Signature, error) {
	return nil, errors.New("no")
}

// TestLoginLog_LoginTruncated tries a login of 20 KB with six keys.
func TestLoginLog_LoginTruncated(t *testing.T) {
	s, w := startRecorded(t)
	var keys []gossh.Signer
	for range 6 {
		keys = append(keys, newKey(t))
	}
	if _, err := s.dial(t, strings.Repeat("\x1b\x00\xff", 7000), keys...); err == nil {
		t.Fatal("login succeeded")
	}
	eventually(t, "the event is recorded", func() bool { return len(w.eventsOf(audit.LoginRefused)) == 1 })
	if e := w.eventsOf(audit.LoginRefused)[0]; len(e.User) > maxLogin+3 || len(e.Error) > maxErrorText+3 {
		t.Errorf("event with a login of %d bytes and a text of %d bytes", len(e.User), len(e.Error))
	}
	if n := len(w.text()); n > 1500 {
		t.Errorf("%d bytes of log", n)
	}
}

// TestLoginLog_Summaries: one address fails many times.
func TestLoginLog_Summaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &recorder{}
		s := &Server{Log: slog.New(slog.NewTextHandler(w, nil)), Record: w.record}
		r := newLoginLog(s)
		conn, _ := net.Pipe()
		attempt := newLoginAttempt("ann", newKey(t).PublicKey())
		for range 40 {
			c := newConnection(conn, Limits{GreetingTimeout: time.Second, HandshakeTimeout: time.Second})
			c.addRefused(attempt)
			r.recordFailure(c, &gossh.ServerAuthError{})
			r.recordConnectionLimit(c)
			r.closeDisplaced(c)
		}
		forger := newConnection(conn, Limits{GreetingTimeout: time.Second, HandshakeTimeout: time.Second})
		forger.setAccepted(attempt)
		r.recordFailure(forger, errors.New("ssh: signature did not verify"))
		forger.Close()
		time.Sleep(reportInterval)
		synctest.Wait()
		for _, want := range []string{
			`msg="login failed" suppressed=34 networks=1`, `msg="connection refused" suppressed=34 networks=1`,
			`msg="connection closed" suppressed=34 networks=1`,
		} {
			if !strings.Contains(w.text(), want) {
				t.Errorf("missing log line with %s", want)
			}
		}
		if lines := strings.Count(w.text(), "\n"); lines != 3*(maxPerNetwork+1)+1 {
			t.Errorf("%d lines of log", lines)
		}
		events := w.eventsOf(audit.LoginRefused)
		if len(events) != maxPerNetwork+2 {
			t.Fatalf("%d events, want %d, and the forgery and a summary", len(events), maxPerNetwork)
		}
		if got := events[maxPerNetwork].Error; got != "login with a forged signature: ssh: signature did not verify" {
			t.Errorf("earlier failures suppress the forgery: got %q", got)
		}
		const summary = "login failed: 34 more, not recorded individually (networks: 1)"
		if got := events[maxPerNetwork+1].Error; got != summary {
			t.Errorf("got summary %q", got)
		}
	})
}

func TestIsDisconnect(t *testing.T) {
	for _, err := range []error{
		io.EOF, net.ErrClosed, &gossh.ServerAuthError{},
		&net.OpError{Op: "read", Err: errors.New("reset")},
	} {
		if !isDisconnect(err) {
			t.Errorf("%v counts as a forgery", err)
		}
	}
	for _, err := range []error{
		errors.New("crypto/rsa: verification error"),
		errors.New("ssh: signature did not verify"),
	} {
		if isDisconnect(err) {
			t.Errorf("%v does not count as a forgery", err)
		}
	}
}
