package sshd

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
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
		if req.Session.Refusal != nil {
			return req.Session.Refusal
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

// TestLimits_CommandRate runs commands faster than the limit, on several connections.
func TestLimits_CommandRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{User: UserLimits{Commands: 30}}, refuseLimited(whoHandler))
		for range 30 {
			client := s.annsClient(t)
			runLine(t, client, "x")
			client.Close()
		}
		client := s.annsClient(t)
		const want = "nomadctld: user ann has reached the limit of 30 commands per minute: try again in 2s"
		wantRefused(t, client, want)
		wantRefused(t, client, want) // a refused command does not count
		s.wantAlive(t)               // bob
		time.Sleep(2 * time.Second)
		runLine(t, client, "x")
		wantRefused(t, client, want)
		time.Sleep(time.Minute)
		for range 30 {
			runLine(t, client, "x")
		}
		wantRefused(t, client, want)

		settings := *s.current()
		settings.Limits.User.Commands = 60
		s.Apply(settings)
		const wantHigher = "nomadctld: user ann has reached the limit of 60 commands per minute: try again in 1s"
		wantRefused(t, client, wantHigher)
		time.Sleep(time.Second)
		runLine(t, client, "x")
		wantRefused(t, client, wantHigher)
	})
}

func TestCommandRates_FullOnesDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r commandRates
		for i := range 10 * maxIdleRates {
			r.take([]subject{{userKind, strconv.Itoa(i)}}, func(subject) int { return 600 })
			time.Sleep(time.Millisecond)
		}
		if n := len(r.limiters); n > maxIdleRates {
			t.Errorf("%d limiters are stored, want at most %d", n, maxIdleRates)
		}
	})
}

// TestLimits_Groups expects that the limits of a prefix group apply to all its users together, and to no other user.
func TestLimits_Groups(t *testing.T) {
	for name, tc := range map[string]struct {
		limits  UserLimits
		refused string
	}{
		"connections": {UserLimits{Connections: 1}, "1 connections: close one, then try again"},
		"sessions":    {UserLimits{Sessions: 1}, "1 sessions: close one, then try again"},
		"commands":    {UserLimits{Commands: 1}, "1 commands per minute: try again in 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newMemoryListener()
				limits := Limits{Groups: map[string]UserLimits{"team1": tc.limits}}
				eve := newKey(t)
				s := serveOn(t, l, l.dial, limits, refuseLimited(waitOrWho), func(s *Server) {
					s.Settings.Users = acl.NewDirectory(acl.Rules{Accounts: []acl.Account{
						groupAccount("ann", eve.PublicKey(), "team0", "team1"), groupAccount("eve", eve.PublicKey(), "team1"),
						groupAccount("bob", eve.PublicKey(), "team0"),
					}})
				})
				dial := func(login string) *gossh.Client {
					client, err := s.dial(t, login, eve)
					if err != nil {
						t.Fatal(err)
					}
					return client
				}
				session, err := dial("ann").NewSession()
				if err != nil {
					t.Fatal(err)
				}
				if err := session.Start("wait"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				wantRefused(t, dial("eve"), "nomadctld: prefix group team1 has reached the limit of "+tc.refused)
				runLine(t, dial("bob"), "x")
			})
		})
	}
}

// waitOrWho waits until it is canceled if the line is "wait".
func waitOrWho(ctx context.Context, req *router.Request) error {
	if req.Session.Line == "wait" {
		<-ctx.Done()
	}
	return whoHandler(ctx, req)
}

// groupAccount returns a user in prefix groups.
func groupAccount(login string, key gossh.PublicKey, groups ...string) acl.Account {
	account := newAccount(login, key)
	account.User.Groups = nil
	for _, name := range groups {
		account.User.Groups = append(account.User.Groups, acl.Group{Name: name})
	}
	return account
}
