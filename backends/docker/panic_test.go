package docker

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

var panicking = writerFunc(func([]byte) (int, error) { panic("test panic") })

type panickingReader struct{}

func (panickingReader) Read([]byte) (int, error) { panic("test panic") }

// panickingTerminal panics when its size is followed.
type panickingTerminal struct{ terminalSize }

func (panickingTerminal) Resized() <-chan struct{} { panic("test panic") }

func TestPanic_ExecReturnsIt(t *testing.T) {
	t.Parallel()
	open, typing := io.Pipe()
	t.Cleanup(func() { typing.Close() })
	for name, p := range map[string]backends.Program{
		"output":          {Stdin: open, Stdout: panicking},
		"terminal output": {Stdin: open, Stdout: panicking, Terminal: terminalSize{80, 24}},
		"input":           {Stdin: panickingReader{}, Stdout: io.Discard},
		"terminal size":   {Stdin: open, Stdout: io.Discard, Terminal: panickingTerminal{terminalSize{80, 24}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &scriptedDaemon{terminal: p.Terminal != nil, refusesExecs: true} // no signal can be sent
			d.stream = func(conn *net.TCPConn) {
				d.exit(0)
				if mark := d.setupMarker(); mark != "" {
					io.WriteString(conn, "\x01"+mark+"0\x02output")
				} else {
					conn.Write(framed(1, "output"))
				}
				io.Copy(io.Discard, conn)
				conn.Close()
			}
			docker, in := d.open(t)
			docker.timeouts.streamClose = 100 * time.Millisecond // the stream ends only after it was closed
			p.Argv, p.Session, p.Stderr = []string{"x"}, newAllocation(), io.Discard
			_, err := docker.Exec(t.Context(), in, p)
			wantPanic(t, err)
		})
	}
}

func TestPanic_AttachReturnsIt(t *testing.T) {
	t.Parallel()
	open, typing := io.Pipe()
	t.Cleanup(func() { typing.Close() })
	for name, a := range map[string]backends.Attachment{
		"output":        {Stdin: open, Stdout: panicking},
		"input":         {Stdin: panickingReader{}, Stdout: io.Discard},
		"terminal size": {Stdin: open, Stdout: io.Discard, Terminal: panickingTerminal{terminalSize{80, 24}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &scriptedDaemon{terminal: a.Terminal != nil}
			d.stream = func(conn *net.TCPConn) {
				for range 10 { // the first write only makes the queue's goroutine fail
					conn.Write(framed(1, "output"))
					time.Sleep(50 * time.Millisecond)
				}
				io.Copy(io.Discard, conn)
				conn.Close()
			}
			docker, in := d.open(t)
			a.Stderr = io.Discard
			_, err := docker.Attach(t.Context(), in, a)
			wantPanic(t, err)
		})
	}
}

// panickingWaiter replaces the library's waiter for a stream.
type panickingWaiter struct{ dockerclient.CloseWaiter }

func (panickingWaiter) Wait() error { panic("test panic") }

func TestPanic_StreamFails(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	out := newOutputReceiver(io.Discard, io.Discard, true)
	s := &apiClient{daemon: &daemon{}, client: &dockerclient.Client{}}
	st, err := s.open(t.Context(), out, true, time.Minute, func(c *dockerclient.Client) (dockerclient.CloseWaiter,
		error,
	) {
		_, err := c.Dialer.Dial("tcp", listener.Addr().String())
		return panickingWaiter{}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	<-st.done
	wantPanic(t, out.failed())
}

// TestPanic_OutputFails panics in classify, before the first write.
func TestPanic_OutputFails(t *testing.T) {
	t.Parallel()
	for name, pass := range map[string]func(*outputReceiver){
		"with the headers":  func(o *outputReceiver) { o.Write([]byte("x")) },
		"after the headers": func(o *outputReceiver) { o.ReadFrom(&slowReader{count: 1, size: 1}) },
	} {
		out := newOutputReceiver(io.Discard, io.Discard, true)
		out.conn = &streamConn{Conn: sinkConn{}}
		out.conn.status.Store(101)
		out.classify = func() outputKind { panic("test panic") }
		pass(out)
		if err := out.failed(); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func wantPanic(t *testing.T, err error) {
	t.Helper()
	var caught *safego.PanicError
	if !errors.As(err, &caught) || caught.Value != "test panic" {
		t.Errorf("got %v, want the panic", err)
	}
}
