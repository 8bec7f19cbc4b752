package sshd

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// backlog bounds what all clients together, and those of each user, have sent and no command has read. x/crypto lets a
// client send 2 MiB on each channel and keeps it in the packets it came in: of single bytes that takes more than 100 MB.
// What is counted is what came over the network, of which at most twice as much is kept. Where there is too much, the
// connections that it came on are not read from until a command has read on.
type backlog struct {
	mu    sync.Mutex // guards what follows
	total int64
	users map[string]int64
	moved chan struct{} // closed when there is less; nil: nobody waits
}

const (
	minBacklog  = 5 << 19  // of a user, whatever others have: one window of a channel and some more
	userBacklog = 24 << 20 // of a user: ten sessions with a full window each are not held up
	allBacklog  = 64 << 20

	backlogStep = 64 << 10 // how exactly it is known beyond its connection
)

func newBacklog() *backlog { return &backlog{users: map[string]int64{}} }

func (b *backlog) add(user string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total += n
	if b.users[user] += n; b.users[user] == 0 {
		delete(b.users, user)
	}
	if n < 0 && b.moved != nil {
		close(b.moved)
		b.moved = nil
	}
}

// full returns a channel that is closed when there may be room again for what a user sends; nil: there is.
func (b *backlog) full(user string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if mine := b.users[user]; mine < minBacklog || mine < userBacklog && b.total < allBacklog {
		return nil
	}
	if b.moved == nil {
		b.moved = make(chan struct{})
	}
	return b.moved
}

// meter estimates the backlog of a connection. While the commands of all its sessions keep up with what is sent to them,
// there is none.
type meter struct {
	all    *backlog
	user   string
	closed chan struct{} // once the connection is closed
	paused atomic.Bool   // nothing is read from it

	mu       sync.Mutex // guards what follows
	inputs   map[*clientInput]struct{}
	behind   int   // inputs that lag
	n        int64 // bytes
	reported int64 // to all
	checked  int64 // bytes read since the inputs that have ended were looked at
	ended    bool  // the connection is closed
}

func newMeter(all *backlog, user string) *meter {
	return &meter{all: all, user: user, closed: make(chan struct{}), inputs: map[*clientInput]struct{}{}}
}

// received counts what was read from the network. It reports whether the client keeps to the protocol: nothing follows the
// end of an input.
func (m *meter) received(n int) bool {
	m.mu.Lock()
	if m.behind > 0 {
		m.change(int64(n))
	}
	var ended []*clientInput
	if m.checked += int64(n); m.checked >= 1<<20 {
		m.checked = 0
		ended = slices.Collect(maps.Keys(m.inputs))
	}
	m.mu.Unlock()
	return !slices.ContainsFunc(ended, (*clientInput).sentMore)
}

// consumed counts what was taken out of x/crypto's packets. Little more than that came over the network for it, unless a
// client sends very little at a time.
func (m *meter) consumed(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.change(-int64(n) - int64(n)/64)
}

// sent counts what was written to the client, which answers it with some bytes now and then.
func (m *meter) sent(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.change(-int64(n) / 256)
}

// change adds n to the backlog. The caller holds mu.
func (m *meter) change(n int64) {
	if m.n = max(0, m.n+n); m.behind == 0 || m.ended {
		m.n = 0
	}
	if change := m.n - m.reported; change != 0 && (m.n == 0 || change >= backlogStep || change <= -backlogStep) {
		m.all.add(m.user, change)
		m.reported = m.n
	}
}

// opened counts an input of the connection.
func (m *meter) opened(in *clientInput) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inputs[in] = struct{}{}
}

// gone forgets an input whose channel the client has closed.
func (m *meter) gone(in *clientInput) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.inputs, in)
}

// lag counts an input that lags, or, with -1, one that does not any more.
func (m *meter) lag(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.behind += n
	m.change(0)
}

// await returns when something may be read from the connection, or when that is closed.
func (m *meter) await() {
	for {
		m.mu.Lock()
		mine := m.n
		m.mu.Unlock()
		if mine == 0 {
			return
		}
		moved := m.all.full(m.user)
		if moved == nil {
			return
		}
		m.paused.Store(true)
		select {
		case <-moved:
		case <-m.closed:
		}
		m.paused.Store(false)
		select {
		case <-m.closed:
			return
		default:
		}
	}
}

// end takes note that the connection has ended.
func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ended {
		m.ended = true
		close(m.closed)
	}
	m.change(0)
}

// clientInput is what a client sends to one session. It is taken out of x/crypto's packets as soon as it comes, as long as
// there is room, because only so it is known whether there is more of it there than the command reads: the input lags from
// when a command has something to read until nothing is left there. After the command's end what comes is thrown away.
type clientInput struct {
	raw   gossh.Channel
	meter *meter

	mu      sync.Mutex // guards what follows
	cond    sync.Cond
	data    []byte // has come and was not read
	err     error  // after data
	dropped bool   // nobody reads any more
	lags    bool
	waits   *time.Timer // ends the lag, once raw has nothing to read for a while
}

const (
	smallInput = 4 << 10 // most sessions are sent nothing, or keys
	largeInput = 64 << 10

	inputDrained = time.Second
)

func newClientInput(raw gossh.Channel, m *meter) *clientInput {
	in := &clientInput{raw: raw, meter: m}
	in.cond.L = &in.mu
	in.waits = time.AfterFunc(inputDrained, func() { in.lag(false) })
	m.opened(in)
	return in
}

// run takes in what comes, until the client ends its input. moved is called whenever something has come.
func (in *clientInput) run(moved func()) {
	buffer := make([]byte, smallInput)
	for {
		in.waits.Reset(inputDrained)
		n, err := in.raw.Read(buffer)
		in.waits.Stop()
		if n < len(buffer) {
			in.lag(false) // that was all
		}
		if n > 0 {
			in.meter.consumed(n)
			moved()
		}
		if !in.pass(buffer[:n], err) {
			return
		}
		if n == len(buffer) && n < largeInput {
			buffer = make([]byte, largeInput)
		}
	}
}

func (in *clientInput) lag(lags bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.lags == lags {
		return
	}
	if in.lags = lags; lags {
		in.meter.lag(1)
	} else {
		in.meter.lag(-1)
	}
}

// pass waits until the command has read all of data, and reports whether there may be more.
func (in *clientInput) pass(data []byte, err error) bool {
	if len(data) > 0 {
		in.lag(true)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.data, in.err = data, err
	in.cond.Broadcast()
	for len(in.data) > 0 && !in.dropped {
		in.cond.Wait()
	}
	return err == nil
}

// Read implements io.Reader for the command.
func (in *clientInput) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		if n := copy(p, in.data); n > 0 {
			if in.data = in.data[n:]; len(in.data) == 0 {
				in.cond.Broadcast()
			}
			return n, nil
		}
		if in.err != nil {
			return 0, in.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		in.cond.Wait()
	}
}

// drop says that nobody reads any more.
func (in *clientInput) drop() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.dropped, in.data = true, nil
	in.cond.Broadcast()
}

// leave takes note that the client has closed the channel. What came before is still to be read.
func (in *clientInput) leave() {
	in.meter.gone(in)
}

// sentMore reports whether the client has sent anything after the end of its input.
func (in *clientInput) sentMore() bool {
	in.mu.Lock()
	ended := in.err != nil
	in.mu.Unlock()
	if !ended {
		return false
	}
	n, _ := in.raw.Read(make([]byte, 1)) // does not wait after the end
	if n == 0 {
		n, _ = in.raw.Stderr().Read(make([]byte, 1))
	}
	return n > 0
}

// discardStderr takes in what a client sends where only servers do.
func (in *clientInput) discardStderr() {
	stderr := in.raw.Stderr()
	buffer := make([]byte, smallInput)
	for {
		n, err := stderr.Read(buffer)
		in.meter.consumed(n)
		if err != nil {
			return
		}
	}
}
