package sshd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/internal/audit"
	"nomadctld/router"
)

// ptyModesRequest returns a pty-req with these modes.
func ptyModesRequest(modes string) []byte {
	return gossh.Marshal(struct {
		Term                          string
		Width, Height, XPixel, YPixel uint32
		Modes                         string
	}{"xterm", 80, 24, 0, 0, modes})
}

func envRequest(name, value string) []byte {
	return gossh.Marshal(struct{ Name, Value string }{name, value})
}

func TestPty_ModesReachCommand(t *testing.T) {
	got := make(chan map[byte]uint32, 1)
	s := startServer(t, Limits{}, func(_ context.Context, req *router.Request) error {
		got <- req.Console.Terminal.Modes
		return nil
	})
	ch, _ := openSession(t, s.annsClient(t))
	for _, step := range []struct {
		kind    string
		payload []byte
	}{{"pty-req", ptyModesRequest("\x03\x00\x00\x00\x08\x2a\x00\x00\x00\x01\x00")}, {"exec", execRequest("x")}} {
		if ok, err := ch.SendRequest(step.kind, true, step.payload); err != nil || !ok {
			t.Fatalf("%s: got %v, %v", step.kind, ok, err)
		}
	}
	if modes := <-got; !maps.Equal(modes, map[byte]uint32{3: 8, 42: 1}) {
		t.Errorf("got %v", modes)
	}
}

func TestEnv_LocaleReachesCommand(t *testing.T) {
	got := make(chan []string, 1)
	s := startServer(t, Limits{}, func(_ context.Context, req *router.Request) error {
		got <- req.Session.Locale
		return nil
	})
	ch, _ := openSession(t, s.annsClient(t))
	for _, c := range []struct {
		name, value string
		accepted    bool
	}{
		{"LANG", "de_DE.UTF-8", true},
		{"LC_CTYPE", "C", true},
		{"LC_TIME", "ca_ES@valencia", true},
		{"LANG", "C.UTF-8", true}, // replaces the earlier value
		{"LANG", "", false},
		{"LANG", "/tmp/evil", false},
		{"LANG", "a b", false},
		{"LC_ALL", "x\n", false},
		{"LC_ALL", strings.Repeat("x", 65), false},
		{"LC_all", "C", false},
		{"LC_", "C", false},
		{"LANGUAGE", "de", false},
		{"LD_PRELOAD", "x", false},
		{"PATH", "x", false},
		{"LANG=x", "C", false},
	} {
		if ok, err := ch.SendRequest("env", true, envRequest(c.name, c.value)); ok != c.accepted || err != nil {
			t.Errorf("%s=%s: got %v, %v, want %v", c.name, c.value, ok, err, c.accepted)
		}
	}
	for i := range 30 { // the number is bounded
		ch.SendRequest("env", true, envRequest(fmt.Sprintf("LC_%s", strings.Repeat("X", 1+i%20)), "C"))
	}
	ch.SendRequest("exec", true, execRequest("x"))
	locale := <-got
	if want := []string{"LC_CTYPE=C", "LC_TIME=ca_ES@valencia", "LANG=C.UTF-8"}; len(locale) != maxLocaleVars ||
		!slices.Equal(locale[:3], want) {
		t.Errorf("got %q, want %q first and %d variables", locale, want, maxLocaleVars)
	}
}

func TestSubsystem_RunsAsCommandLine(t *testing.T) {
	s := startServer(t, Limits{}, func(_ context.Context, req *router.Request) error {
		fmt.Fprintf(req.Console.Stdout, "%q %v\n", req.Session.Line, req.Session.Subsystem)
		return nil
	})
	client := s.annsClient(t)
	ch, _ := openSession(t, client)
	if ok, err := ch.SendRequest("subsystem", true, execRequest("sftp")); !ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	if ok, _ := ch.SendRequest("exec", true, execRequest("x")); ok {
		t.Error("a command after a subsystem was accepted")
	}
	if got, _ := io.ReadAll(ch); string(got) != "\"sftp\" true\n" {
		t.Errorf("got %q", got)
	}
	if got := runLine(t, client, "sftp"); got != "\"sftp\" false\n" {
		t.Errorf("command: got %q", got)
	}
}

// TestForwards_RefusedWithHint checks that no forwarding is accepted.
func TestForwards_RefusedWithHint(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	client := s.annsClient(t)
	for _, kind := range forwardChannels {
		_, _, err := client.OpenChannel(kind, gossh.Marshal(struct {
			Host string
			Port uint32
			From string
			At   uint32
		}{"127.0.0.1", 22, "127.0.0.1", 1}))
		var refused *gossh.OpenChannelError
		if !errors.As(err, &refused) || refused.Reason != gossh.Prohibited ||
			!strings.Contains(refused.Message, "port forwarding is not supported") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
	s.wantAlive(t)
}

// TestInput_NoCommandDiscarded sends input on a channel without a command, then closes the channel.
func TestInput_NoCommandDiscarded(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	client := s.annsClient(t)
	for range 5 {
		ch, _ := openSession(t, client)
		if _, err := ch.Write(make([]byte, 100<<10)); err != nil {
			t.Fatal(err)
		}
		if err := ch.Close(); err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	deliver := runtime.FuncForPC(reflect.ValueOf((*clientInput).deliver).Pointer()).Name()
	eventually(t, "unread input is dropped", func() bool {
		stacks := make([]byte, 4<<20)
		return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), deliver)
	})
}

// TestEvents_LoginRefusedByALimit: the client has proven a key, but the user has too many connections.
func TestEvents_LoginRefusedByALimit(t *testing.T) {
	var events []audit.Event
	s := &Server{Log: slog.New(slog.DiscardHandler), Record: func(e audit.Event) { events = append(events, e) }}
	r := newLoginLog(s)
	conn, _ := net.Pipe()
	c := newConnection(conn, Limits{GreetingTimeout: time.Minute, HandshakeTimeout: time.Minute})
	defer c.Close()
	c.setAccepted(newLoginAttempt("ann", newKey(t).PublicKey()))
	r.recordFailure(c, &gossh.ServerAuthError{Errors: []error{errTooManyConnections}})
	if len(events) != 1 || events[0].Kind != audit.LoginRefused || events[0].User != "ann" ||
		!strings.Contains(events[0].Error, errTooManyConnections.Error()) || events[0].Decision != audit.Failed {
		t.Errorf("got %+v, want one refused login of ann", events)
	}
}

func TestRequests_Malformed(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	client := s.annsClient(t)
	huge := binary.BigEndian.AppendUint32(nil, 0xFFFFFFFF)
	for _, tc := range []struct {
		kind    string
		payload []byte
	}{
		{"pty-req", huge},
		{"pty-req", nil},
		{"pty-req", ptyRequest(strings.Repeat("x", 1000), 80, 24)},
		{"pty-req", ptyRequest("xterm", 80, 24)[:12]},
		{"window-change", huge},
		{"window-change", nil},
		{"signal", huge},
		{"signal", nil},
		{"exec", huge},
		{"exec", nil},
		{"env", huge},
		{"break", huge},
		{"subsystem", huge},
		{"subsystem", execRequest("sf tp")},
		{"pty-req", ptyModesRequest("\x03\x00\x00\x00")},
		{"auth-agent-req@openssh.com", nil},
		{"x11-req", huge},
		{"nonsense", huge},
	} {
		ch, _ := openSession(t, client)
		if ok, err := ch.SendRequest(tc.kind, true, tc.payload); err != nil || ok {
			t.Errorf("%s % x: got %v, %v, want a refusal", tc.kind, tc.payload, ok, err)
		}
		if ok, err := ch.SendRequest("exec", true, execRequest("after")); err != nil || !ok {
			t.Errorf("exec after %s: got %v, %v", tc.kind, ok, err)
		}
		if got, _ := io.ReadAll(ch); string(got) != "ann after\n" {
			t.Errorf("after %s: got %q", tc.kind, got)
		}
		ch.Close()
	}
	s.wantAlive(t)
}

func TestPty_NoSize(t *testing.T) {
	s := startServer(t, Limits{}, func(_ context.Context, req *router.Request) error {
		width, height := req.Console.Terminal.Size()
		fmt.Fprintf(req.Console.Stdout, "%s %dx%d\n", req.Console.Terminal.Name, width, height)
		return nil
	})
	ch, _ := openSession(t, s.annsClient(t))
	for _, step := range []struct {
		kind    string
		payload []byte
	}{{"pty-req", ptyRequest("xterm", 0, 0)}, {"exec", execRequest("x")}} {
		if ok, err := ch.SendRequest(step.kind, true, step.payload); err != nil || !ok {
			t.Fatalf("%s: got %v, %v", step.kind, ok, err)
		}
	}
	if got, _ := io.ReadAll(ch); string(got) != "xterm 0x0\r\n" {
		t.Errorf("got %q, want a terminal of 0x0 and CR LF", got)
	}
}

func TestRequests_UnreadDoNotBlock(t *testing.T) {
	release := make(chan struct{})
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		if req.Session.Line == "wait" {
			<-release
		}
		return whoHandler(ctx, req)
	})
	client := s.annsClient(t)
	ch, _ := openSession(t, client)
	ch.SendRequest("pty-req", true, ptyRequest("xterm", 80, 24))
	ch.SendRequest("window-change", true, windowChange(100)) // before exec
	ch.SendRequest("exec", true, execRequest("wait"))
	for i := range 500 {
		if _, err := ch.SendRequest("window-change", false, windowChange(uint32(i))); err != nil {
			t.Fatal(err)
		}
		if _, err := ch.SendRequest("signal", false, gossh.Marshal(struct{ Name string }{"USR1"})); err != nil {
			t.Fatal(err)
		}
	}
	if got := runLine(t, client, "meantime"); got != "ann meantime\n" {
		t.Errorf("another session of the connection: got %q", got)
	}
	close(release)
	if got, _ := io.ReadAll(ch); string(got) != "ann wait\r\n" {
		t.Errorf("got %q", got)
	}
	s.wantAlive(t)
}

func TestSignals_OnlyKnownNames(t *testing.T) {
	got := make(chan string, 1)
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		_, signals, out := req.Console.ProgramIO()
		io.WriteString(out.Stdout, "start")
		got <- <-signals
		return nil
	})
	ch, _ := openSession(t, s.annsClient(t))
	ch.SendRequest("exec", true, execRequest("x"))
	io.ReadFull(ch, make([]byte, 5))
	for _, name := range []string{"", "sigterm", "SIGTERM", "term", "TERM\n", strings.Repeat("A", 200<<10)} {
		if ok, err := ch.SendRequest("signal", true, gossh.Marshal(struct{ Name string }{name})); ok || err != nil {
			t.Errorf("%.20q: got %v, %v, want a refusal", name, ok, err)
		}
	}
	ch.SendRequest("signal", true, gossh.Marshal(struct{ Name string }{"USR2"}))
	if name := <-got; name != "USR2" {
		t.Errorf("got %.20q", name)
	}
}
