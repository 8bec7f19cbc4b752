package nomadsim

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// execStream is the websocket of an exec.
type execStream struct {
	conn *websocket.Conn
	ctx  context.Context // canceled when the cluster is closed

	mu      sync.Mutex // guards writes and readErr
	readErr error      // why reading from the client ended; nil while it continues

	input         chan execInput // closed when the client has disconnected
	reading       sync.WaitGroup
	cancel        context.CancelFunc
	stopAfterFunc func() bool
}

// execInput is a frame from the client. An empty frame is a heartbeat.
type execInput struct {
	Stdin *stream `json:"stdin"`
	Size  *struct {
		Height uint16 `json:"height"`
		Width  uint16 `json:"width"`
	} `json:"tty_size"`
}

// execOutput is a frame to the client.
type execOutput struct {
	Stdout *stream     `json:"stdout,omitempty"`
	Stderr *stream     `json:"stderr,omitempty"`
	Exited bool        `json:"exited,omitempty"`
	Result *execResult `json:"result,omitempty"`
}

type stream struct {
	Data  []byte `json:"data,omitempty"`
	Close bool   `json:"close,omitempty"`
}

type execResult struct {
	ExitCode int `json:"exit_code,omitempty"`
}

func newExecStream(host context.Context, conn *websocket.Conn) *execStream {
	s := &execStream{conn: conn, input: make(chan execInput)}
	s.ctx, s.cancel = context.WithCancel(host)
	s.stopAfterFunc = context.AfterFunc(host, func() { conn.Close() }) // unblocks a write to a client that does not read
	s.reading.Go(s.read)
	return s
}

// read forwards the client's frames until the client disconnects or sends an invalid frame. The program does not
// notice that: see send.
func (s *execStream) read() {
	for {
		_, message, err := s.conn.ReadMessage()
		var in execInput
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
		case <-s.ctx.Done(): // the exec has ended
		}
	}
}

// send sends a frame. As in Nomad, a disconnected client is detected only here: its program keeps running while it
// writes nothing, and is killed at its next output.
func (s *execStream) send(out execOutput) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr != nil {
		return s.readErr
	}
	return s.conn.WriteJSON(out)
}

// readError returns why reading from the client ended, or nil while it continues.
func (s *execStream) readError() error {
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
