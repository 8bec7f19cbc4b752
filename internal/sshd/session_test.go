package sshd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/router"
)

func TestSession_TenAtOnce(t *testing.T) {
	var together atomic.Int32
	all := make(chan struct{})
	s := startServer(t, Limits{}, func(_ context.Context, req *router.Request) error {
		if req.Session.Line == "x" {
			return nil
		}
		if together.Add(1) == 10 {
			close(all)
		}
		<-all
		io.WriteString(req.Console.Stdout, req.Session.Line)
		return nil
	})
	client := s.annsClient(t)
	var wg sync.WaitGroup
	var sessions []*gossh.Session
	for range 10 {
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, session)
	}
	if _, err := client.NewSession(); err == nil {
		t.Error("an eleventh session was accepted")
	}
	for i, session := range sessions {
		wg.Go(func() {
			want := fmt.Sprint("session ", i)
			if got, err := session.Output(want); err != nil || string(got) != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	wg.Wait()
	eventually(t, "the slot of a closed session is free", func() bool {
		_, err := client.NewSession()
		return err == nil
	})
	s.wantAlive(t)
}

func TestSession_ContextEndsWithChannel(t *testing.T) {
	causes := make(chan error, 1)
	running := make(chan struct{})
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		if req.Session.Line != "wait" {
			return nil
		}
		close(running)
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil
	})
	client := s.annsClient(t)
	ch, _ := openSession(t, client)
	ch.SendRequest("exec", true, execRequest("wait"))
	<-running
	ch.Close()
	select {
	case cause := <-causes:
		if !errors.Is(cause, router.ErrClientDisconnected) {
			t.Errorf("got %v, want %v", cause, router.ErrClientDisconnected)
		}
	case <-time.After(time.Minute):
		t.Fatal("the command is still running although its session was closed")
	}
	runLine(t, client, "the connection is open")
}

func TestSignals_Interrupt(t *testing.T) {
	s := startServer(t, Limits{}, func(ctx context.Context, _ *router.Request) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	for signal, code := range map[gossh.Signal]int{gossh.SIGINT: 130, gossh.SIGTERM: 143, gossh.SIGHUP: 129} {
		session, err := s.annsClient(t).NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Start("wait"); err != nil {
			t.Fatal(err)
		}
		session.Signal(signal)
		var exit *gossh.ExitError
		if err := session.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != code {
			t.Errorf("%s: got %v, want exit code %d", signal, err, code)
		}
	}
}

func TestErrors_OneSafeLineEach(t *testing.T) {
	s := startServer(t, Limits{}, func(context.Context, *router.Request) error {
		return router.Exit(2, errors.Join(errors.New("first \x1b[31m"), router.Exit(7, errors.New("second"))))
	})
	session, err := s.annsClient(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	session.Stdout, session.Stderr = &stdout, &stderr
	err = session.Run("x")
	var exit *gossh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 2 {
		t.Errorf("got %v, want exit code 2", err)
	}
	want := "nomadctld: first \\x1b[31m\nnomadctld: second\n"
	if stdout.String() != "" || stderr.String() != want {
		t.Errorf("got %q and %q, want %q only on stderr", stdout.String(), stderr.String(), want)
	}
}

func TestErrors_WrappedOnTerminal(t *testing.T) {
	s := startServer(t, Limits{}, func(context.Context, *router.Request) error {
		return errors.New("no job web (see: ps)")
	})
	session, err := s.annsClient(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.RequestPty("xterm", 24, 20, nil); err != nil {
		t.Fatal(err)
	}
	got, err := session.CombinedOutput("x")
	if want := "nomadctld: no job\r\nweb (see: ps)\r\n"; string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestPanic_ClosesOneSession(t *testing.T) {
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		if req.Session.Line == "panic" {
			panic("boom")
		}
		return whoHandler(ctx, req)
	})
	client := s.annsClient(t)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Run("panic"); err == nil {
		t.Error("a command that panicked succeeded")
	}
	if got := runLine(t, client, "continue"); got != "ann continue\n" {
		t.Errorf("got %q", got)
	}
	s.wantAlive(t)
}

func TestDisconnect_Cause(t *testing.T) {
	causes, running := make(chan error, 1), make(chan struct{})
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		close(running)
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil
	})
	client := s.annsClient(t)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("wait"); err != nil {
		t.Fatal(err)
	}
	<-running
	client.Close()
	if cause := <-causes; !errors.Is(cause, router.ErrClientDisconnected) {
		t.Errorf("got %v, want %v", cause, router.ErrClientDisconnected)
	}
}

// disconnects are the ways in which a client may disconnect.
var disconnects = map[string]func(*gossh.Client, gossh.Channel){
	"connection closed": func(client *gossh.Client, _ gossh.Channel) { client.Close() },
	"channel closed":    func(_ *gossh.Client, ch gossh.Channel) { ch.Close() },
}

func TestUpload_CutIsNotEOF(t *testing.T) {
	type upload struct {
		text string
		err  error
	}
	uploads, started := make(chan upload, 1), make(chan struct{}, 1)
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		first := make([]byte, len("start"))
		_, err := io.ReadFull(req.Console.Stdin, first)
		started <- struct{}{}
		rest, failed := io.ReadAll(req.Console.Stdin)
		uploads <- upload{string(first) + string(rest), errors.Join(err, failed)}
		return nil
	})
	inputEnds := maps.Clone(disconnects)
	inputEnds["EOF"] = func(_ *gossh.Client, ch gossh.Channel) { ch.CloseWrite() }
	for name, endInput := range inputEnds {
		var want error
		if _, cut := disconnects[name]; cut {
			want = router.ErrClientDisconnected
		}
		for range 50 {
			client := s.annsClient(t)
			ch, requests := openSession(t, client)
			go gossh.DiscardRequests(requests)
			ch.SendRequest("exec", true, execRequest("read"))
			io.WriteString(ch, "start")
			<-started
			endInput(client, ch)
			if got := <-uploads; got.text != "start" || !errors.Is(got.err, want) || (want == nil) != (got.err == nil) {
				t.Fatalf("%s: got %+v, want %v", name, got, want)
			}
			client.Close()
		}
	}
}

func TestUpload_NoKeepaliveReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		uploads := make(chan error, 1)
		s := startSimulated(t, Limits{}, func(_ context.Context, req *router.Request) error {
			_, err := io.ReadAll(req.Console.Stdin)
			uploads <- err
			return nil
		})
		ch, _ := openSession(t, s.annsClient(t))
		ch.SendRequest("exec", true, execRequest("read"))
		ch.CloseWrite()
		if err := <-uploads; err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestWrite_ClientDisconnected(t *testing.T) {
	results := make(chan error, 1)
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		for {
			if _, err := req.Console.ByteOutput.Stdout.Write(make([]byte, 1000)); err != nil {
				if ctx.Err() == nil {
					err = fmt.Errorf("the session is still running after %w", err)
				}
				results <- err
				return nil
			}
		}
	})
	for name, disconnect := range disconnects {
		for range 50 {
			client := s.annsClient(t)
			ch, requests := openSession(t, client)
			go gossh.DiscardRequests(requests)
			ch.SendRequest("exec", true, execRequest("write"))
			ch.Read(make([]byte, 3000))
			disconnect(client, ch)
			if err := <-results; err != router.ErrClientDisconnected {
				t.Fatalf("%s: got %v, want %v", name, err, router.ErrClientDisconnected)
			}
			client.Close()
		}
	}
}

func TestErrors_WrappedJoin(t *testing.T) {
	err := fmt.Errorf("stop web: %w: %w", errors.New("no response"), errors.New("refused"))
	if got := router.ErrorLines(router.Exit(3, err)); len(got) != 1 || got[0] != "stop web: no response: refused" {
		t.Errorf("got %q", got)
	}
	if got := router.ErrorLines(errors.Join(err, errors.New("second"))); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

func TestSession_NoLeaks(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	s.wantAlive(t)
	before := runtime.NumGoroutine()
	for range 20 {
		client, err := s.dial(t, "ann", s.ann)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			runLine(t, client, "x")
		}
		client.Close()
	}
	eventually(t, "the goroutines have exited", func() bool { return runtime.NumGoroutine() <= before+2 })
}
