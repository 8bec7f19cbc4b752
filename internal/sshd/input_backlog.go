package sshd

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// inputBacklog bounds what all clients together, and those of each user, have sent and no command has read. x/crypto lets a
// client send 2 MiB on each channel and keeps it in the packets it came in: of single bytes that takes more than 100 MB.
// What is counted is what came over the network, of which at most twice as much is kept. Where there is too much, the
// connections that it came on are not read from until a command has read on.
type inputBacklog struct {
	mu     sync.Mutex // guards what follows
	total  int64
	users  map[string]int64
	shrunk chan struct{} // closed when there is less; nil: nobody waits
}

const (
	minUserBacklog = 5 << 19  // of a user, whatever others have: one window of a channel and some more
	maxUserBacklog = 24 << 20 // of a user: ten sessions with a full window each are not held up
	maxBacklog     = 64 << 20

	backlogStep = 64 << 10 // how exactly it is known beyond its connection
)

func newInputBacklog() *inputBacklog { return &inputBacklog{users: map[string]int64{}} }

func (b *inputBacklog) add(user string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total += n
	if b.users[user] += n; b.users[user] == 0 {
		delete(b.users, user)
	}
	if n < 0 && b.shrunk != nil {
		close(b.shrunk)
		b.shrunk = nil
	}
}

// full returns a channel that is closed when there may be room again for what a user sends; nil: there is.
func (b *inputBacklog) full(user string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if mine := b.users[user]; mine < minUserBacklog || mine < maxUserBacklog && b.total < maxBacklog {
		return nil
	}
	if b.shrunk == nil {
		b.shrunk = make(chan struct{})
	}
	return b.shrunk
}

// backlogMeter estimates the backlog of a connection. While the commands of all its sessions keep up with what is sent to them,
// there is none.
type backlogMeter struct {
	backlog *inputBacklog
	user    string
	closed  chan struct{} // once the connection is closed
	paused  atomic.Bool   // nothing is read from it

	mu         sync.Mutex // guards what follows
	inputs     map[*clientInput]struct{}
	lagging    int   // inputs that lag
	bytes      int64 // bytes
	reported   int64 // to all
	sinceCheck int64 // bytes read since the inputs that have ended were looked at
	isClosed   bool  // the connection is closed
}

func newBacklogMeter(all *inputBacklog, user string) *backlogMeter {
	return &backlogMeter{backlog: all, user: user, closed: make(chan struct{}), inputs: map[*clientInput]struct{}{}}
}

// received counts what was read from the network. It reports whether the client keeps to the protocol: nothing follows the
// end of an input.
func (m *backlogMeter) received(n int) bool {
	m.mu.Lock()
	if m.lagging > 0 {
		m.adjust(int64(n))
	}
	var ended []*clientInput
	if m.sinceCheck += int64(n); m.sinceCheck >= 1<<20 {
		m.sinceCheck = 0
		ended = slices.Collect(maps.Keys(m.inputs))
	}
	m.mu.Unlock()
	return !slices.ContainsFunc(ended, (*clientInput).sentAfterEOF)
}

// consumed counts what was taken out of x/crypto's packets. Little more than that came over the network for it, unless a
// client sends very little at a time.
func (m *backlogMeter) consumed(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.adjust(-int64(n) - int64(n)/64)
}

// sent counts what was written to the client, which answers it with some bytes now and then.
func (m *backlogMeter) sent(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.adjust(-int64(n) / 256)
}

// adjust adds n to the backlog. The caller holds mu.
func (m *backlogMeter) adjust(n int64) {
	if m.bytes = max(0, m.bytes+n); m.lagging == 0 || m.isClosed {
		m.bytes = 0
	}
	if change := m.bytes - m.reported; change != 0 && (m.bytes == 0 || change >= backlogStep || change <= -backlogStep) {
		m.backlog.add(m.user, change)
		m.reported = m.bytes
	}
}

// addInput counts an input of the connection.
func (m *backlogMeter) addInput(in *clientInput) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inputs[in] = struct{}{}
}

// removeInput forgets an input whose channel the client has closed.
func (m *backlogMeter) removeInput(in *clientInput) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.inputs, in)
}

// addLagging counts an input that lags, or, with -1, one that does not any more.
func (m *backlogMeter) addLagging(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lagging += n
	m.adjust(0)
}

// waitForRoom returns when something may be read from the connection, or when that is closed.
func (m *backlogMeter) waitForRoom() {
	for {
		m.mu.Lock()
		mine := m.bytes
		m.mu.Unlock()
		if mine == 0 {
			return
		}
		moved := m.backlog.full(m.user)
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

// close takes note that the connection has ended.
func (m *backlogMeter) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.isClosed {
		m.isClosed = true
		close(m.closed)
	}
	m.adjust(0)
}

// clientInput is what a client sends to one session. It is taken out of x/crypto's packets as soon as it comes, as long as
// there is room, because only so it is known whether there is more of it there than the command reads: the input lags from
// when a command has something to read until nothing is left there. After the command's end what comes is thrown away.
type clientInput struct {
	raw   gossh.Channel
	meter *backlogMeter

	mu        sync.Mutex // guards what follows
	cond      sync.Cond
	data      []byte // has come and was not read
	err       error  // after data
	discarded bool   // nobody reads any more
	lagging   bool
	lagTimer  *time.Timer // ends the lag, once raw has nothing to read for a while
}

const (
	minInputBuffer = 4 << 10 // most sessions are sent nothing, or keys
	maxInputBuffer = 64 << 10

	inputLagGrace = time.Second
)

func newClientInput(raw gossh.Channel, m *backlogMeter) *clientInput {
	in := &clientInput{raw: raw, meter: m}
	in.cond.L = &in.mu
	in.lagTimer = time.AfterFunc(inputLagGrace, func() { in.setLagging(false) })
	m.addInput(in)
	return in
}

// run takes in what comes, until the client ends its input. moved is called whenever something has come.
func (in *clientInput) run(moved func()) {
	buffer := make([]byte, minInputBuffer)
	for {
		in.lagTimer.Reset(inputLagGrace)
		n, err := in.raw.Read(buffer)
		in.lagTimer.Stop()
		if n < len(buffer) {
			in.setLagging(false) // that was all
		}
		if n > 0 {
			in.meter.consumed(n)
			moved()
		}
		if !in.deliver(buffer[:n], err) {
			return
		}
		if n == len(buffer) && n < maxInputBuffer {
			buffer = make([]byte, maxInputBuffer)
		}
	}
}

func (in *clientInput) setLagging(lags bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.lagging == lags {
		return
	}
	if in.lagging = lags; lags {
		in.meter.addLagging(1)
	} else {
		in.meter.addLagging(-1)
	}
}

// deliver waits until the command has read all of data, and reports whether there may be more.
func (in *clientInput) deliver(data []byte, err error) bool {
	if len(data) > 0 {
		in.setLagging(true)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.data, in.err = data, err
	in.cond.Broadcast()
	for len(in.data) > 0 && !in.discarded {
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

// discard says that nobody reads any more.
func (in *clientInput) discard() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.discarded, in.data = true, nil
	in.cond.Broadcast()
}

// channelClosed takes note that the client has closed the channel. What came before is still to be read.
func (in *clientInput) channelClosed() {
	in.meter.removeInput(in)
}

// sentAfterEOF reports whether the client has sent anything after the end of its input.
func (in *clientInput) sentAfterEOF() bool {
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
	buffer := make([]byte, minInputBuffer)
	for {
		n, err := stderr.Read(buffer)
		in.meter.consumed(n)
		if err != nil {
			return
		}
	}
}
