package sshd

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// inputBacklog bounds the input that clients have sent and commands have not read, per user and in total. x/crypto
// accepts 2 MiB on each channel and stores the packets as received: if each has one byte, they take over 100 MB. The
// backlog counts bytes received from the network; x/crypto needs at most twice as much memory. If there is too much,
// the gateway stops reading from the connections until a command has read some of it.
type inputBacklog struct {
	mu     sync.Mutex // guards the fields below
	total  int64
	users  map[string]int64
	shrunk chan struct{} // closed when the backlog shrinks; nil: nobody waits
}

const (
	minUserBacklog = 5 << 19  // always allowed per user: one channel window and a little more
	maxUserBacklog = 24 << 20 // per user: ten sessions with a full window are not paused
	maxBacklog     = 64 << 20

	backlogStep = 64 << 10 // a meter reports changes of this size
)

func newInputBacklog() *inputBacklog { return &inputBacklog{users: map[string]int64{}} }

// add adds n bytes to the backlog of a user. A negative n wakes those that wait for room.
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

// waitForShrink returns a channel that is closed when the backlog shrinks, or nil if the user may send more.
func (b *inputBacklog) waitForShrink(user string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.users[user]; n < minUserBacklog || n < maxUserBacklog && b.total < maxBacklog {
		return nil
	}
	if b.shrunk == nil {
		b.shrunk = make(chan struct{})
	}
	return b.shrunk
}

// backlogMeter estimates the backlog of a connection. It is zero while the commands of all sessions keep up.
type backlogMeter struct {
	backlog *inputBacklog
	user    string
	closed  chan struct{} // closed with the connection
	paused  atomic.Bool   // reading is paused

	mu         sync.Mutex // guards the fields below
	inputs     map[*clientInput]struct{}
	lagging    int   // number of lagging inputs
	bytes      int64 // estimated backlog
	reported   int64 // part of bytes that was added to backlog
	sinceCheck int64 // bytes read since the last check for data after EOF
	isClosed   bool  // the connection is closed
}

func newBacklogMeter(all *inputBacklog, user string) *backlogMeter {
	return &backlogMeter{backlog: all, user: user, closed: make(chan struct{}), inputs: map[*clientInput]struct{}{}}
}

// received counts bytes read from the network. It returns false if the client has sent data after EOF, which violates
// the protocol.
func (m *backlogMeter) received(n int) bool {
	m.mu.Lock()
	if m.lagging > 0 {
		m.adjust(int64(n))
	}
	var inputs []*clientInput
	if m.sinceCheck += int64(n); m.sinceCheck >= 1<<20 {
		m.sinceCheck = 0
		inputs = slices.Collect(maps.Keys(m.inputs))
	}
	m.mu.Unlock()
	return !slices.ContainsFunc(inputs, (*clientInput).sentAfterEOF)
}

// consumed counts bytes taken from x/crypto. Slightly more came over the network, and much more only if the client
// sends very small packets.
func (m *backlogMeter) consumed(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.adjust(-int64(n) - int64(n)/64)
}

// sent counts bytes written to the client. The client acknowledges them with window-adjust packets. Their
// bytes are not input, so sent subtracts them.
func (m *backlogMeter) sent(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.adjust(-int64(n) / 256)
}

// adjust adds n to the estimate. The caller holds mu.
func (m *backlogMeter) adjust(n int64) {
	if m.bytes = max(0, m.bytes+n); m.lagging == 0 || m.isClosed {
		m.bytes = 0
	}
	change := m.bytes - m.reported
	if change != 0 && (m.bytes == 0 || change >= backlogStep || change <= -backlogStep) {
		m.backlog.add(m.user, change)
		m.reported = m.bytes
	}
}

// addInput adds an input of the connection.
func (m *backlogMeter) addInput(in *clientInput) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inputs[in] = struct{}{}
}

// removeInput removes an input whose channel the client has closed.
func (m *backlogMeter) removeInput(in *clientInput) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.inputs, in)
}

// addLagging adds n to the number of lagging inputs.
func (m *backlogMeter) addLagging(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lagging += n
	m.adjust(0)
}

// waitForRoom waits until the connection may be read from or is closed.
func (m *backlogMeter) waitForRoom() {
	for {
		m.mu.Lock()
		n := m.bytes
		m.mu.Unlock()
		if n == 0 {
			return
		}
		shrunk := m.backlog.waitForShrink(m.user)
		if shrunk == nil {
			return
		}
		m.paused.Store(true)
		select {
		case <-shrunk:
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

// close resets the estimate when the connection is closed.
func (m *backlogMeter) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.isClosed {
		m.isClosed = true
		close(m.closed)
	}
	m.adjust(0)
}

// clientInput is the input of one session. It reads from x/crypto as soon as data arrives, because x/crypto does not
// report how much it has stored. It lags while data waits for the command, and then until x/crypto has no more data.
// After the command has finished, input is discarded.
type clientInput struct {
	raw   gossh.Channel
	meter *backlogMeter

	mu        sync.Mutex // guards the fields below
	cond      sync.Cond
	data      []byte // received but not read
	err       error  // returned after data
	discarded bool   // nobody reads any more
	lagging   bool
	lagTimer  *time.Timer // ends the lag when raw had no data for a while
}

const (
	minInputBuffer = 4 << 10 // most sessions receive nothing, or keys
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

// run reads input until EOF. onData is called for each read that returns data.
func (in *clientInput) run(onData func()) {
	buffer := make([]byte, minInputBuffer)
	for {
		in.lagTimer.Reset(inputLagGrace)
		n, err := in.raw.Read(buffer)
		in.lagTimer.Stop()
		if n < len(buffer) {
			in.setLagging(false) // x/crypto has no more data
		}
		if n > 0 {
			in.meter.consumed(n)
			onData()
		}
		if !in.deliver(buffer[:n], err) {
			return
		}
		if n == len(buffer) && n < maxInputBuffer {
			buffer = make([]byte, maxInputBuffer)
		}
	}
}

// setLagging sets whether the input lags.
func (in *clientInput) setLagging(lagging bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.lagging == lagging {
		return
	}
	if in.lagging = lagging; lagging {
		in.meter.addLagging(1)
	} else {
		in.meter.addLagging(-1)
	}
}

// deliver waits until the command has read all of data. It returns false if no more data follows.
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

// discard drops all input from now on.
func (in *clientInput) discard() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.discarded, in.data = true, nil
	in.cond.Broadcast()
}

// channelClosed records that the client has closed the channel. Earlier input can still be read.
func (in *clientInput) channelClosed() {
	in.meter.removeInput(in)
}

// sentAfterEOF reports whether the client has sent data after EOF.
func (in *clientInput) sentAfterEOF() bool {
	in.mu.Lock()
	ended := in.err != nil
	in.mu.Unlock()
	if !ended {
		return false
	}
	n, _ := in.raw.Read(make([]byte, 1)) // does not block after EOF
	if n == 0 {
		n, _ = in.raw.Stderr().Read(make([]byte, 1))
	}
	return n > 0
}

// discardStderr reads and drops what the client sends on the stderr stream, which only servers use.
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
