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
	"nomadctld/internal/testenv"
	"nomadctld/router"
)

// TestMain also runs the server process of the memory tests: a client in the same process would be measured, too.
func TestMain(m *testing.M) {
	if key := os.Getenv("NOMADCTLD_TEST_SERVE"); key != "" {
		serveForMemory(key)
		return
	}
	os.Exit(m.Run())
}

// serveForMemory serves the user ann with memoryHandler.
func serveForMemory(key string) {
	public, _, _, _, err := gossh.ParseAuthorizedKey([]byte(key))
	if err != nil {
		panic(err)
	}
	users := acl.NewDirectory(acl.Rules{Accounts: []acl.Account{newAccount("ann", public)}})
	hostKey, err := ParseHostKeys([]byte(os.Getenv("NOMADCTLD_TEST_HOSTKEY")))
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	s := &Server{
		Settings: Settings{
			HostKeys: hostKey, Users: users, Handler: memoryHandler,
			Limits: withTestLimits(Limits{User: UserLimits{Connections: 100, Sessions: 1000}}),
		},
		Log: slog.New(slog.DiscardHandler),
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() { io.Copy(io.Discard, os.Stdin); stop() }() // stop at the end of the test
	s.Serve(ctx, l, 0)
}

func memoryHandler(ctx context.Context, req *router.Request) error {
	switch req.Session.Line {
	case "memory":
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprint(req.Console.Stdout, m.HeapInuse+m.StackInuse)
	case "write":
		block := make([]byte, 256<<10)
		for {
			if _, err := req.Console.ByteOutput.Stdout.Write(block); err != nil {
				return err
			}
		}
	default: // read nothing
		<-ctx.Done()
	}
	return nil
}

// countedClient is a client of ann with a counting connection.
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
	cmd.Env = append(os.Environ(), "NOMADCTLD_TEST_SERVE="+string(gossh.MarshalAuthorizedKey(key.PublicKey())),
		"NOMADCTLD_TEST_HOSTKEY="+string(pem.EncodeToMemory(block)))
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

// countingConn is a client's connection that counts the bytes written.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// waitStalled waits until the connections accept no more data, and returns the number of bytes they accepted.
func waitStalled(t *testing.T, conns []*countingConn) int64 {
	t.Helper()
	sum := func() (n int64) {
		for _, c := range conns {
			n += c.written.Load()
		}
		return n
	}
	var lastSum int64
	unchanged := 0
	eventually(t, "the connections accept no more data", func() bool {
		now := sum()
		if unchanged++; now != lastSum {
			lastSum, unchanged = now, 0
		}
		return lastSum > 1<<20 && unchanged > 100 // 2 s
	})
	return lastSum
}

// TestMemory_UnreadInput sends input byte by byte to commands that read nothing, which needs the most memory.
func TestMemory_UnreadInput(t *testing.T) {
	testenv.NoRace(t, "measures memory")
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
			if i%2 == 0 { // the others start no command
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
	t.Logf("40 sessions of one user: %d MB sent, %d MB of memory", sent>>20, used>>20)
	if used > 64<<20 {
		t.Errorf("the input of a user takes %d MB of memory", used>>20)
	}
}

// TestMemory_UnreadOutput: commands write to clients that read nothing.
func TestMemory_UnreadOutput(t *testing.T) {
	testenv.NoRace(t, "measures memory")
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
			io.ReadFull(ch, make([]byte, 1000)) // the command writes
		}
	}
	used := memory() - before
	t.Logf("%d KB per session", used/sessions>>10)
	if used > sessions*(1<<20) {
		t.Errorf("a session whose client does not read takes %d KB", used/sessions>>10)
	}
}

// TestInput_CompleteAfterPause sends more than the backlog of a user, and then lets the commands read.
func TestInput_CompleteAfterPause(t *testing.T) {
	const conns, perConn, size = 2, 8, 3 << 20
	release := make(chan struct{})
	s := startServer(t, Limits{}, func(_ context.Context, req *router.Request) error {
		if req.Session.Line == "x" {
			return nil
		}
		<-release
		sum := sha256.New()
		if _, err := io.Copy(sum, req.Console.Stdin); err != nil {
			return err
		}
		fmt.Fprintf(req.Console.Stdout, "%x", sum.Sum(nil))
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
	total := s.backlog.users["ann"]
	s.backlog.mu.Unlock()
	if total < maxUserBacklog-(1<<20) || total > maxUserBacklog+(1<<20) {
		t.Errorf("the backlog of the user is %d bytes, want about %d", total, maxUserBacklog)
	}
	s.wantAlive(t)
	runLine(t, s.annsClient(t), "x") // a new connection of the user is not paused
	close(release)
	all.Wait()
	eventually(t, "the backlog is empty", func() bool {
		s.backlog.mu.Lock()
		defer s.backlog.mu.Unlock()
		return s.backlog.total == 0 && len(s.backlog.users) == 0
	})
}

// endedChannel returns EOF, and then more data.
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
			t.Error("a closed channel is checked")
		}
	}
}

// TestBacklog_OtherUsersServed: one user, or many together, exceed their limit.
func TestBacklog_OtherUsersServed(t *testing.T) {
	b := newInputBacklog()
	b.add("ann", maxUserBacklog)
	if b.waitForShrink("ann") == nil || b.waitForShrink("bob") != nil {
		t.Error("the user with too much input must be paused")
	}
	b.add("eve", maxBacklog-maxUserBacklog)
	b.add("bob", minUserBacklog-1)
	if b.waitForShrink("bob") != nil {
		t.Error("a user with little input is paused because of others")
	}
	b.add("bob", 1)
	shrunk := b.waitForShrink("bob")
	if shrunk == nil {
		t.Error("the total is not limited")
	}
	b.add("eve", -1<<20)
	<-shrunk
	b.add("eve", -(maxBacklog - maxUserBacklog - 1<<20))
	b.add("ann", -maxUserBacklog)
	b.add("bob", -minUserBacklog)
	if b.total != 0 || len(b.users) != 0 {
		t.Errorf("%d bytes and %d users remain", b.total, len(b.users))
	}
}

// TestBacklogMeter_CountsUnreadInput: the connection's other sessions read their input.
func TestBacklogMeter_CountsUnreadInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInputBacklog()
		m := newBacklogMeter(b, "ann")
		for range 1000 { // no input lags
			m.received(32 << 10)
		}
		if b.total != 0 {
			t.Errorf("the backlog is %d bytes, want 0", b.total)
		}
		m.addLagging(1)
		for range 10_000 { // one input lags, another is read
			m.received(32<<10 + 64)
			m.consumed(32 << 10)
		}
		if b.total > backlogStep {
			t.Errorf("the backlog is %d bytes after all was consumed", b.total)
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
			t.Error("reading continues although the backlog is full")
		default:
		}
		if !m.paused.Load() {
			t.Error("not paused")
		}
		m.consumed(2 * minUserBacklog)
		<-waited
		m.addLagging(-1)
		if b.total != 0 || m.paused.Load() {
			t.Errorf("the backlog is %d bytes although nothing lags", b.total)
		}
		m.addLagging(1)
		m.received(2 * maxUserBacklog)
		m.close()
		m.waitForRoom() // returns at once for a closed connection
		if m.addLagging(-1); b.total != 0 {
			t.Errorf("the backlog of a closed connection is %d bytes", b.total)
		}
	})
}
