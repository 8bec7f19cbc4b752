package nomadsim

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"nomadctld/internal/nomadsim/agent"
)

// execStream is the websocket of an exec.
type execStream struct {
	conn *websocket.Conn
	ctx  context.Context // canceled when the cluster is closed

	mu      sync.Mutex // guards writes and readErr
	readErr error      // why reading from the client ended; nil while it continues

	input         chan agent.ExecInput // closed when the client has disconnected
	reading       sync.WaitGroup
	cancel        context.CancelFunc
	stopAfterFunc func() bool
}

func newExecStream(host context.Context, conn *websocket.Conn) *execStream {
	s := &execStream{conn: conn, input: make(chan agent.ExecInput)}
	s.ctx, s.cancel = context.WithCancel(host)
	s.stopAfterFunc = context.AfterFunc(host, func() { conn.Close() }) // unblocks a write to a client that does not read
	s.reading.Go(s.read)
	return s
}

// read forwards the client's frames until the client disconnects or sends an invalid frame. The program does not
// notice that: see Send.
func (s *execStream) read() {
	for {
		_, message, err := s.conn.ReadMessage()
		var in agent.ExecInput
		if err == nil {
			err = json.Unmarshal(message, &in)
		}
		if err != nil {
			s.mu.Lock()
			s.readErr = err
			s.mu.Unlock()
			close(s.input)
			return
		}
		select {
		case s.input <- in:
		case <-s.ctx.Done(): // the exec has finished
		}
	}
}

func (s *execStream) Frames() <-chan agent.ExecInput { return s.input }

// Send sends a frame. As in Nomad, a disconnected client is detected only here: its program keeps running while it
// writes nothing, and is killed at its next output.
func (s *execStream) Send(out agent.ExecOutput) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr != nil {
		return s.readErr
	}
	return s.conn.WriteJSON(out)
}

// ReadError returns why reading from the client ended, or nil while it continues.
func (s *execStream) ReadError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readErr
}

// close sends a close message. A client that has disconnected does not receive it.
func (s *execStream) close(err error) {
	code := websocket.CloseInternalServerErr
	if c, ok := errors.AsType[closeError](err); ok {
		code = c.code
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, err.Error()))
}

// closeTimeout limits the wait for the client to close its side of the connection.
const closeTimeout = time.Second

// shutdown closes the connection. Like Nomad, it adds no close message if there was none. It reads the remaining
// input first: closing a connection with unread input resets it, and the client may lose output.
func (s *execStream) shutdown() {
	s.cancel()
	if half, can := s.conn.NetConn().(interface{ CloseWrite() error }); can && half.CloseWrite() == nil {
		s.conn.SetReadDeadline(time.Now().Add(closeTimeout))
		s.reading.Wait()
	}
	s.stopAfterFunc()
	s.conn.Close()
	s.reading.Wait()
}
