package sshd

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"os"
	osexec "os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/router"
)

// TestMain serves in a process of its own where a test of memory asks for that: a client in the same process would be
// measured too.
func TestMain(m *testing.M) {
	if key := os.Getenv("NOMADCTLD_TEST_SERVE"); key != "" {
		serveForMemory(key)
		return
	}
	os.Exit(m.Run())
}

// serveForMemory serves the user ann, whose commands are those of memoryHandler.
func serveForMemory(key string) {
	public, _, _, _, err := gossh.ParseAuthorizedKey([]byte(key))
	if err != nil {
		panic(err)
	}
	users := acl.NewDirectory()
	users.Add(acl.User{Login: "ann", Groups: []acl.Group{{}}}, string(public.Marshal()))
	hostKey, err := ParseHostKeys([]byte(os.Getenv("NOMADCTLD_TEST_HOSTKEY")))
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	s := &Server{HostKeys: hostKey, Users: users, Handler: memoryHandler, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Limits: Limits{User: UserLimits{Connections: 100, Sessions: 1000}}}
	ctx, stop := context.WithCancel(context.Background())
	go func() { io.Copy(io.Discard, os.Stdin); stop() }() // until the test ends
	s.Serve(ctx, l, 0)
}

func memoryHandler(ctx context.Context, req *router.Request) error {
	switch req.Line {
	case "memory":
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprint(req.Stdout, m.HeapInuse+m.StackInuse)
	case "write":
		block := make([]byte, 256<<10)
		for {
			if _, err := req.Bytes.Stdout.Write(block); err != nil {
				return err
			}
		}
	default: // reads nothing
		<-ctx.Done()
	}
	return nil
}

// countedClient is a client of ann's whose connection counts.
func (s *testServer) countedClient(t *testing.T) (*gossh.Client, *countingConn) {
	t.Helper()
	return countedDial(t, s.addr, s.ann)
}

func countedDial(t *testing.T, address string, key gossh.Signer) (*gossh.Client, *countingConn) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	counted := &countingConn{Conn: conn}
	c, channels, requests, err := gossh.NewClientConn(counted, address, &gossh.ClientConfig{
		User: "ann", Auth: []gossh.AuthMethod{gossh.PublicKeys(key)}, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	client := gossh.NewClient(c, channels, requests)
	t.Cleanup(func() { client.Close() })
	return client, counted
}

func startMemoryServer(t *testing.T) (dial func() (*gossh.Client, *countingConn), memory func() int64) {
	t.Helper()
	key := newKey(t)
	block, err := gossh.MarshalPrivateKey(newPrivateKey(t), "")
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NOMADCTLD_TEST_SERVE="+string(gossh.MarshalAuthorizedKey(key.PublicKey())), "NOMADCTLD_TEST_HOSTKEY="+string(pem.EncodeToMemory(block)))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Process.Kill(); cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dial = func() (*gossh.Client, *countingConn) { return countedDial(t, strings.TrimSpace(address), key) }
	asking, _ := dial()
	return dial, func() (n int64) {
		if _, err := fmt.Sscan(runLine(t, asking, "memory"), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// countingConn is a client's connection that counts what is written.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// waitStalled waits until the connections take nothing more, and returns what they took.
func waitStalled(t *testing.T, conns []*countingConn) int64 {
	t.Helper()
	sum := func() (n int64) {
		for _, c := range conns {
			n += c.written.Load()
		}
		return n
	}
	var last int64
	still := 0
	eventually(t, "the connections take nothing more", func() bool {
		now := sum()
		if still++; now != last {
			last, still = now, 0
		}
		return last > 1<<20 && still > 100 // 2 s
	})
	return last
}

// TestMemory_UnreadInput sends to commands that read nothing, byte by byte, which costs most.
func TestMemory_UnreadInput(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector needs several times the memory")
	}
	dial, memory := startMemoryServer(t)
	before := memory()
	var conns []*countingConn
	for range 4 {
		client, conn := dial()
		conns = append(conns, conn)
		var channels []gossh.Channel
		for i := range 10 {
			ch, requests, err := client.OpenChannel("session", nil)
			if err != nil {
				t.Fatal(err)
			}
			go gossh.DiscardRequests(requests)
			if i%2 == 0 { // the others begin no command
				ch.SendRequest("exec", true, execRequest("wait"))
			}
			channels = append(channels, ch)
		}
		for _, ch := range channels {
			go func() {
				for {
					if _, err := ch.Write([]byte{'x'}); err != nil {
						return
					}
				}
			}()
		}
	}
	sent := waitStalled(t, conns)
	used := memory() - before
	t.Logf("40 sessions of one user: %d MB were sent, and are kept in %d MB", sent>>20, used>>20)
	if used > 64<<20 {
		t.Errorf("%d MB are kept of what a user sends", used>>20)
	}
}

// TestMemory_UnreadOutput has commands write to clients that read nothing.
func TestMemory_UnreadOutput(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector needs several times the memory")
	}
	dial, memory := startMemoryServer(t)
	before := memory()
	const sessions = 40
	for range sessions / 10 {
		client, _ := dial()
		for range 10 {
			ch, requests, err := client.OpenChannel("session", nil)
			if err != nil {
				t.Fatal(err)
			}
			go gossh.DiscardRequests(requests)
			ch.SendRequest("exec", true, execRequest("write"))
			io.ReadFull(ch, make([]byte, 1000)) // it writes
		}
	}
	used := memory() - before
	t.Logf("%d KB a session", used/sessions>>10)
	if used > sessions*(1<<20) {
		t.Errorf("a session whose client does not read takes %d KB", used/sessions>>10)
	}
}

// TestInput_CompleteAfterPause sends more than is kept of a user, and then lets the commands read.
func TestInput_CompleteAfterPause(t *testing.T) {
	const conns, perConn, size = 2, 8, 3 << 20
	release := make(chan struct{})
	s := startServer(t, Limits{}, func(_ context.Context, req *router.Request) error {
		if req.Line == "x" {
			return nil
		}
		<-release
		sum := sha256.New()
		if _, err := io.Copy(sum, req.Stdin); err != nil {
			return err
		}
		fmt.Fprintf(req.Stdout, "%x", sum.Sum(nil))
		return nil
	})
	var all sync.WaitGroup
	var counted []*countingConn
	for i := range conns {
		client, conn := s.countedClient(t)
		counted = append(counted, conn)
		var channels []gossh.Channel
		for range perConn {
			ch, requests, err := client.OpenChannel("session", nil)
			if err != nil {
				t.Fatal(err)
			}
			go gossh.DiscardRequests(requests)
			ch.SendRequest("exec", true, execRequest("sum"))
			channels = append(channels, ch)
		}
		for j, ch := range channels {
			all.Go(func() {
				content := make([]byte, size)
				mathrand.NewChaCha8([32]byte{byte(i), byte(j)}).Read(content)
				if _, err := ch.Write(content); err != nil {
					t.Error(err)
				}
				ch.CloseWrite()
				got, _ := io.ReadAll(ch)
				if want := fmt.Sprintf("%x", sha256.Sum256(content)); string(got) != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
	}
	waitStalled(t, counted)
	s.backlog.mu.Lock()
	kept := s.backlog.users["ann"]
	s.backlog.mu.Unlock()
	if kept < maxUserBacklog-(1<<20) || kept > maxUserBacklog+(1<<20) {
		t.Errorf("%d bytes are kept of the user, want about %d", kept, maxUserBacklog)
	}
	s.wantAlive(t)
	runLine(t, s.annsClient(t), "x") // nor is a new connection of the user held up
	close(release)
	all.Wait()
	eventually(t, "nothing is kept any more", func() bool {
		s.backlog.mu.Lock()
		defer s.backlog.mu.Unlock()
		return s.backlog.total == 0 && len(s.backlog.users) == 0
	})
}

// endedChannel has sent its end, and then more.
type endedChannel struct {
	gossh.Channel
	more, moreOfStderr string
}

func (c *endedChannel) Read(p []byte) (int, error) {
	if n := copy(p, c.more); n > 0 {
		c.more = c.more[n:]
		return n, nil
	}
	return 0, io.EOF
}

func (c *endedChannel) Stderr() io.ReadWriter { return &endedChannel{more: c.moreOfStderr} }

func TestInput_DataAfterEOFRefused(t *testing.T) {
	for _, tc := range []struct {
		more, stderr string
		want         bool
	}{{"", "", true}, {"x", "", false}, {"", "x", false}} {
		m := newBacklogMeter(newInputBacklog(), "ann")
		raw := &endedChannel{}
		in := newClientInput(raw, m)
		in.run(func() {})
		if n, err := in.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("got %d, %v", n, err)
		}
		raw.more, raw.moreOfStderr = tc.more, tc.stderr
		if got := m.received(1 << 20); got != tc.want {
			t.Errorf("%q and %q: got %v", tc.more, tc.stderr, got)
		}
		in.channelClosed()
		if len(m.inputs) != 0 {
			t.Error("a channel that is closed is looked at")
		}
	}
}

// TestBacklog_OtherUsersServed while one user, or many together, have more than their share.
func TestBacklog_OtherUsersServed(t *testing.T) {
	b := newInputBacklog()
	b.add("ann", maxUserBacklog)
	if b.full("ann") == nil || b.full("bob") != nil {
		t.Error("not the one user who has too much is held up")
	}
	b.add("eve", maxBacklog-maxUserBacklog)
	b.add("bob", minUserBacklog-1)
	if b.full("bob") != nil {
		t.Error("others hold up a user who has next to nothing")
	}
	b.add("bob", 1)
	moved := b.full("bob")
	if moved == nil {
		t.Error("there is no limit for all")
	}
	b.add("eve", -1<<20)
	<-moved
	b.add("eve", -(maxBacklog - maxUserBacklog - 1<<20))
	b.add("ann", -maxUserBacklog)
	b.add("bob", -minUserBacklog)
	if b.total != 0 || len(b.users) != 0 {
		t.Errorf("%d bytes and %d users are left", b.total, len(b.users))
	}
}

// TestBacklogMeter_CountsLagging while the connection's other sessions move data.
func TestBacklogMeter_CountsLagging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInputBacklog()
		m := newBacklogMeter(b, "ann")
		for range 1000 { // nothing lags
			m.received(32 << 10)
		}
		if b.total != 0 {
			t.Errorf("%d bytes are kept", b.total)
		}
		m.addLagging(1)
		for range 10_000 { // one lags, and another takes in all that comes
			m.received(32<<10 + 64)
			m.consumed(32 << 10)
		}
		if b.total > backlogStep {
			t.Errorf("%d bytes are kept of what was consumed", b.total)
		}
		m.received(maxUserBacklog + minUserBacklog)
		waited := make(chan struct{})
		go func() {
			m.waitForRoom()
			close(waited)
		}()
		synctest.Wait()
		select {
		case <-waited:
			t.Error("more is read although too much is kept")
		default:
		}
		if !m.paused.Load() {
			t.Error("not paused")
		}
		m.consumed(2 * minUserBacklog)
		<-waited
		m.addLagging(-1)
		if b.total != 0 || m.paused.Load() {
			t.Errorf("%d bytes are kept of what does not lag", b.total)
		}
		m.addLagging(1)
		m.received(2 * maxUserBacklog)
		m.close()
		m.waitForRoom() // a connection that is closed waits for nothing
		if m.addLagging(-1); b.total != 0 {
			t.Errorf("%d bytes are kept of a connection that is closed", b.total)
		}
	})
}
