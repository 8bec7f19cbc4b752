package sshd

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/router"
)

func TestLimits_Connections(t *testing.T) {
	s := startServer(t, Limits{Connections: 2}, whoHandler)
	first := s.annsClient(t)
	s.annsClient(t)
	if _, err := s.dial(t, "ann", s.ann); err == nil {
		t.Error("a third connection was accepted")
	}
	first.Close()
	eventually(t, "a slot became free", func() bool {
		_, err := s.dial(t, "ann", s.ann)
		return err == nil
	})
}

// refuseLimited handles the error of a limit as the middleware does.
func refuseLimited(next router.Handler) router.Handler {
	return func(ctx context.Context, req *router.Request) error {
		if req.Session.LimitErr != nil {
			return req.Session.LimitErr
		}
		return next(ctx, req)
	}
}

// wantRefused runs a line that must be refused because of a limit.
func wantRefused(t *testing.T, client *gossh.Client, want string) {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	session.Stderr = &stderr
	err = session.Run("x")
	var exit *gossh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 75 || stderr.String() != want+"\n" {
		t.Errorf("got %v and %q, want exit code 75 and %q", err, stderr.String(), want)
	}
}

func TestUserLimits_Connections(t *testing.T) {
	s := startServer(t, Limits{User: UserLimits{Connections: 2}}, refuseLimited(whoHandler))
	var clients []*gossh.Client
	for range 2 {
		clients = append(clients, s.annsClient(t))
	}
	for range 3 {
		client := s.annsClient(t)
		wantRefused(t, client, "nomadctld: user ann has reached the limit of 2 connections: close one, then try again")
		client.Close()
	}
	s.wantAlive(t) // bob
	if got := runLine(t, clients[0], "x"); got != "ann x\n" {
		t.Errorf("got %q", got)
	}
	clients[1].Close()
	eventually(t, "the slot is free", func() bool {
		client := s.annsClient(t)
		defer client.Close()
		session, err := client.NewSession()
		return err == nil && session.Run("x") == nil
	})
}

// TestUserLimits_SpareConnections opens connections that run no command.
func TestUserLimits_SpareConnections(t *testing.T) {
	s := startServer(t, Limits{User: UserLimits{Connections: 2}}, refuseLimited(whoHandler))
	open := 0
	for range 20 {
		if _, err := s.dial(t, "ann", s.ann); err == nil {
			open++
		}
	}
	if open != 2+maxSpareConnections {
		t.Errorf("%d connections are open, want 2 and %d spares", open, maxSpareConnections)
	}
	s.wantAlive(t)
}

func TestUserLimits_Sessions(t *testing.T) {
	release := make(chan struct{})
	var started sync.WaitGroup
	s := startServer(t, Limits{User: UserLimits{Sessions: 3}},
		refuseLimited(func(ctx context.Context, req *router.Request) error {
			if req.Session.Line == "wait" {
				started.Done()
				<-release
			}
			return whoHandler(ctx, req)
		}))
	started.Add(3)
	first, second := s.annsClient(t), s.annsClient(t)
	var sessions []*gossh.Session
	for _, client := range []*gossh.Client{first, first, second} {
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Start("wait"); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, session)
	}
	started.Wait()
	wantRefused(t, second, "nomadctld: user ann has reached the limit of 3 sessions: close one, then try again")
	s.wantAlive(t) // bob
	close(release)
	for _, session := range sessions {
		if err := session.Wait(); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the slots are free", func() bool {
		session, err := second.NewSession()
		return err == nil && session.Run("x") == nil
	})
}

func TestLimits_AllSessions(t *testing.T) {
	release, started := make(chan struct{}), make(chan struct{})
	s := startServer(t, Limits{AllSessions: 1}, refuseLimited(func(ctx context.Context, req *router.Request) error {
		if req.Session.Line == "wait" {
			close(started)
			<-release
		}
		return whoHandler(ctx, req)
	}))
	session, err := s.annsClient(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("wait"); err != nil {
		t.Fatal(err)
	}
	<-started
	client, err := s.dial(t, "bob", s.bob)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, client, "nomadctld: the gateway is busy with 1 sessions: try again in a minute")
	close(release)
}

func TestUserLimits_NoLeaks(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	for range 20 {
		client := s.annsClient(t)
		runLine(t, client, "x")
		client.Close()
	}
	eventually(t, "no usage is stored", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.usage) == 0 && len(s.conns) == 0
	})
}
