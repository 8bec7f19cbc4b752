package sshd

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/internal/console"
	"nomadctld/router"
)

func TestIdle_ConnectionClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{IdleTimeout: time.Hour}, whoHandler)
		client := s.annsClient(t)
		runLine(t, client, "x")
		started := time.Now()
		client.Wait()
		// Keepalives, sent every 30 seconds, do not count.
		if idle := time.Since(started); idle < time.Hour || idle > time.Hour+time.Second {
			t.Errorf("closed after %s, want 1h", idle)
		}
	})
}

func TestKeepalive_DeadClientClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		canceled := make(chan struct{})
		s := startSimulated(t, Limits{}, func(ctx context.Context, _ *router.Request) error {
			<-ctx.Done()
			close(canceled)
			return nil
		})
		connect, frozen := s.connect, &freezableConn{}
		s.connect = func() (conn net.Conn, err error) {
			frozen.Conn, err = connect()
			return frozen, err
		}
		session, err := s.annsClient(t).NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Start("wait"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		select {
		case <-canceled:
			t.Error("the command was canceled although the client responds")
		default:
		}
		frozen.frozen.Store(true)
		select {
		case <-canceled:
		case <-time.After(5 * s.current().Limits.KeepaliveInterval):
			t.Error("the command is still running although the client does not respond")
		}
	})
}

// freezableConn is a connection whose writes can be dropped.
type freezableConn struct {
	net.Conn
	frozen atomic.Bool
}

func (f *freezableConn) Write(p []byte) (int, error) {
	if f.frozen.Load() {
		return len(p), nil
	}
	return f.Conn.Write(p)
}

func TestIdle_ActiveSessionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{IdleTimeout: 8 * time.Second}, func(_ context.Context, req *router.Request) error {
			if req.Session.Line == "short" {
				time.Sleep(5 * time.Second)
			}
			for range 8 {
				io.WriteString(req.Console.Stderr, ".")
				time.Sleep(1500 * time.Millisecond)
			}
			return nil
		})
		client := s.annsClient(t)
		time.Sleep(4 * time.Second)
		for _, line := range []string{"short", "long"} {
			session, err := client.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			if err := session.Run(line); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
}

// authenticatedConnection returns a connection of a user, in simulated time.
func authenticatedConnection(limits Limits) (c *connection, closed func() bool) {
	limits.setDefaults()
	server, client := net.Pipe()
	c = newConnection(server, limits)
	c.markAuthenticated("ann", nil)
	disconnected := make(chan struct{})
	go func() {
		io.Copy(io.Discard, client)
		close(disconnected)
	}()
	return c, func() bool {
		synctest.Wait()
		select {
		case <-disconnected:
			return true
		default:
			return false
		}
	}
}

// startedCommand returns a channel of c that runs a command.
func startedCommand(c *connection, terminal *console.Terminal) (*channel, context.Context) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ch := &channel{conn: c, cancel: cancel, started: true, terminal: terminal}
	c.addChannel(ch)
	c.markCommandStarted()
	return ch, ctx
}

func TestConnection_NoCommandClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, closed := authenticatedConnection(Limits{})
		c.addChannel(&channel{conn: c}) // a session without a command does not count
		time.Sleep(2*time.Minute - time.Second)
		if closed() {
			t.Error("closed too early")
		}
		time.Sleep(2 * time.Second)
		if !closed() {
			t.Error("still open after two minutes")
		}
	})
}

func TestConnection_StaysAfterCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, closed := authenticatedConnection(Limits{IdleTimeout: time.Hour})
		ch, _ := startedCommand(c, nil)
		c.removeChannel(ch)
		time.Sleep(59 * time.Minute)
		if closed() {
			t.Error("closed too early")
		}
		time.Sleep(2 * time.Minute)
		if !closed() {
			t.Error("still open after an idle hour")
		}
	})
}

func TestIdle_CommandWithoutTerminalStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, closed := authenticatedConnection(Limits{IdleTimeout: time.Hour})
		ch, ctx := startedCommand(c, nil)
		time.Sleep(100 * time.Hour)
		if closed() || ctx.Err() != nil {
			t.Fatal("a running command was canceled")
		}
		c.removeChannel(ch)
		time.Sleep(2 * time.Hour)
		if !closed() {
			t.Error("still open after an idle hour")
		}
	})
}

func TestIdle_TerminalIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, closed := authenticatedConnection(Limits{IdleTimeout: time.Hour})
		_, ctx := startedCommand(c, console.NewTerminal("xterm", 80, 24))
		for range 100 {
			time.Sleep(59 * time.Minute)
			c.markActive()
		}
		time.Sleep(59 * time.Minute)
		if ctx.Err() != nil {
			t.Error("an active terminal was closed")
		}
		time.Sleep(time.Minute + time.Second)
		if want := "closed after 1h0m0s without input or output (limits.idle)"; context.Cause(ctx) == nil ||
			context.Cause(ctx).Error() != want {
			t.Errorf("got %v, want %s", context.Cause(ctx), want)
		}
		if closed() {
			t.Error("closed before its command could exit")
		}
		time.Sleep(time.Minute)
		if !closed() {
			t.Error("still open")
		}
	})
}
