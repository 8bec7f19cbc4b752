package sshd

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/router"
)

// TestApply_UserRemoved removes ann. Her idle connection is closed and her command is stopped. Bob is not affected.
func TestApply_UserRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{}, waitHandler)
		bobs, err := s.dial(t, "bob", s.bob)
		if err != nil {
			t.Fatal(err)
		}
		idle := s.annsClient(t)
		anns, annsStderr := startLine(t, s.annsClient(t), "")
		session, stderr := startLine(t, bobs, "")
		synctest.Wait()
		next := *s.current()
		next.Users = acl.NewDirectory(acl.Rules{Accounts: []acl.Account{newAccount("bob", s.bob.PublicKey())}})
		applied := time.Now()
		s.Apply(next)
		anns.Wait()
		if took := time.Since(applied); took > time.Second {
			t.Errorf("the command ended after %s, want at once", took)
		}
		const want = "nomadctld: your key is no longer accepted; ask the gateway's operator\n"
		if annsStderr.String() != want {
			t.Errorf("got %q, want %q", annsStderr, want)
		}
		synctest.Wait()
		if _, err := idle.NewSession(); err == nil {
			t.Error("an idle connection of the removed user stays open")
		}
		if _, err := s.dial(t, "ann", s.ann); err == nil {
			t.Error("the removed user logged in")
		}
		time.Sleep(time.Minute)
		if stderr.Len() > 0 {
			t.Errorf("another user's command got %q", stderr)
		}
		s.stop()
		session.Wait()
		if got, want := stderr.String(), notice2s+"\n"+stopped+"\n"; got != want {
			t.Errorf("another user's command: got %q, want %q", got, want)
		}
	})
}

// TestApply_NewConnectionsAndCommands expects that new connections get the new host key, and that commands on open
// connections go to the new handler.
func TestApply_NewConnectionsAndCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := func(text string) router.Handler {
			return func(_ context.Context, req *router.Request) error {
				_, err := io.WriteString(req.Console.Stdout, text)
				return err
			}
		}
		s := startSimulated(t, Limits{}, answer("old"))
		client := s.annsClient(t)
		next, key := *s.current(), newKey(t)
		next.Handler, next.HostKeys = answer("new"), []gossh.Signer{key}
		s.Apply(next)
		if got := runLine(t, client, "x"); got != "new" {
			t.Errorf("got %q, want the new handler", got)
		}
		conn, err := s.connect()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var offered gossh.PublicKey
		c, _, _, err := gossh.NewClientConn(conn, "", &gossh.ClientConfig{
			User: "ann", Auth: []gossh.AuthMethod{gossh.PublicKeys(s.ann)},
			HostKeyCallback: func(_ string, _ net.Addr, key gossh.PublicKey) error { offered = key; return nil },
		})
		if err != nil || !bytes.Equal(offered.Marshal(), key.PublicKey().Marshal()) {
			t.Errorf("got the host key %v, %v, want the new one", offered, err)
		}
		c.Close()
	})
}

// TestApply_MaxStartups lowers start. The next connection then closes the oldest of those that have not authenticated.
func TestApply_MaxStartups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{MaxStartups: MaxStartups{Start: 10, Rate: 100, Full: 100}}, waitHandler)
		connect := func() net.Conn {
			conn, err := s.connect()
			if err != nil {
				t.Fatal(err)
			}
			conn.Read(make([]byte, 1)) // the server has started to serve it
			time.Sleep(earlyGrace)
			return conn
		}
		oldest, second := connect(), connect()
		defer oldest.Close()
		defer second.Close()
		if n, _ := s.Connections(); n != 2 {
			t.Fatalf("%d connections have not authenticated, want 2", n)
		}
		next := *s.current()
		next.Limits.MaxStartups = MaxStartups{Start: 2, Rate: 100, Full: 100}
		s.Apply(next)
		if n, _ := s.Connections(); n != 2 {
			t.Errorf("%d connections are left after the change, want 2", n)
		}
		defer connect().Close()
		if n, _ := s.Connections(); n != 2 {
			t.Errorf("%d connections have not authenticated, want 2", n)
		}
		oldest.SetReadDeadline(time.Now()) // buffered bytes and the end are read before the deadline counts
		if _, err := io.Copy(io.Discard, oldest); err != nil {
			t.Errorf("the oldest connection: got %v, want it closed", err)
		}
	})
}
