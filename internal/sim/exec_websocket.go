package sim

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
	ctx  context.Context // ends with the cluster

	mu      sync.Mutex // one writer at a time
	readErr error      // why nothing more comes from the client

	input         chan execInput // closed when the client is gone
	reading       sync.WaitGroup
	cancel        context.CancelFunc
	stopAfterHost func() bool
}

// execInput is a frame from the client; one without anything is a heartbeat.
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
	s.stopAfterHost = context.AfterFunc(host, func() { conn.Close() }) // a frame may wait for a client that does not read
	s.reading.Go(s.read)
	return s
}

// read hands the client's frames on until the client is gone or sends what is none. The process is not told: see send.
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
		case <-s.ctx.Done(): // and no more is wanted of it
		}
	}
}

// send sends a frame. As with Nomad, it is only here that a client is missed: a program whose client has gone away runs
// on for as long as it is silent, and is killed at its next output.
func (s *execStream) send(out execOutput) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr != nil {
		return s.readErr
	}
	return s.conn.WriteJSON(out)
}

// readError returns why nothing more comes from the client; nil while more may come.
func (s *execStream) readError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readErr
}

// close ends the stream with a close message, which a client that left does not get.
func (s *execStream) close(err error) {
	code := websocket.CloseInternalServerErr
	if c, ok := errors.AsType[closeError](err); ok {
		code = c.code
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, err.Error()))
}

// closeTimeout is how long the end waits for the client to close its side too.
const closeTimeout = time.Second

// shutdown closes the connection, without a close message when there was none before, as Nomad does. What the client still
// sends is read first: a connection that is closed over it is reset, and the client may lose what it has not read yet.
func (s *execStream) shutdown() {
	s.cancel()
	if half, can := s.conn.NetConn().(interface{ CloseWrite() error }); can && half.CloseWrite() == nil {
		s.conn.SetReadDeadline(time.Now().Add(closeTimeout))
		s.reading.Wait()
	}
	s.stopAfterHost()
	s.conn.Close()
	s.reading.Wait()
}
