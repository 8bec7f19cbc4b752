package docker

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nomadctld/backends"
)

// scriptedDaemon is a daemon with one container and one program. The test decides how its streams end.
type scriptedDaemon struct {
	terminal bool
	stream   func(*net.TCPConn)                       // called with the open connection; must close it
	wait     func(http.ResponseWriter, *http.Request) // responds to a wait for the container; nil: never

	code           atomic.Int32
	ended          atomic.Bool
	env            string       // JSON of the container's environment; empty: null
	keepsRunning   bool         // the container keeps running after the program
	argv           atomic.Value // []string, command of the first exec
	refusesExecs   bool         // every exec but the first fails, also those for signals
	created        atomic.Int32
	failedInspects atomic.Int32 // number of exec inspects after the program that fail
}

func (d *scriptedDaemon) exit(code int32) {
	d.code.Store(code)
	d.ended.Store(true)
}

// setupMarker returns the marker of the setup script that was started, or "".
func (d *scriptedDaemon) setupMarker() string {
	if argv, _ := d.argv.Load().([]string); len(argv) > 4 && argv[0] == "/bin/sh" {
		return argv[4]
	}
	return ""
}

func (d *scriptedDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case strings.HasSuffix(path, "/version"):
		io.WriteString(w, `{"ApiVersion":"1.41","MinAPIVersion":"1.24"}`)
	case strings.HasSuffix(path, "/containers/A/exec"):
		var options struct{ Cmd []string }
		json.NewDecoder(r.Body).Decode(&options)
		d.argv.CompareAndSwap(nil, options.Cmd)
		if d.created.Add(1) > 1 && d.refusesExecs {
			http.Error(w, `{"message":"busy"}`, http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"Id":"P"}`)
	case strings.HasSuffix(path, "/exec/P/json"):
		if d.failedInspects.Add(-1) >= 0 {
			http.Error(w, `{"message":"busy"}`, http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, `{"Running":%v,"ExitCode":%d,"Pid":42}`, !d.ended.Load(), d.code.Load())
	case strings.HasSuffix(path, "/wait"):
		if d.wait == nil {
			<-r.Context().Done()
			return
		}
		d.wait(w, r)
	case strings.HasSuffix(path, "/containers/web-1/json"), strings.HasSuffix(path, "/containers/A/json"):
		fmt.Fprintf(w, `{"Id":"A","Name":"/web-1",
			"State":{"Running":%v,"ExitCode":%d,"StartedAt":"2026-11-01T00:00:00Z"},
			"Config":{"Tty":%v,"OpenStdin":true,"Env":%s,"Labels":{"com.hashicorp.nomad.alloc_id":"1"}}}`,
			d.keepsRunning || !d.ended.Load(), d.code.Load(), d.terminal, cmp.Or(d.env, "null"))
	case strings.HasSuffix(path, "/start"), strings.HasSuffix(path, "/attach"):
		io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
		d.stream(conn.(*net.TCPConn))
	default:
		http.NotFound(w, r)
	}
}

func (d *scriptedDaemon) open(t *testing.T) (*Docker, backends.TaskRef) {
	t.Helper()
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	in := backends.TaskRef{Task: "web", Node: Node{Name: "node-1"}, Allocation: backends.Allocation{ID: "1"}}
	return mustOpen(t, Settings{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://")}), in
}

func framed(stream byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{stream, 0, 0, 0}, uint32(len(text))), text...)
}

// reset closes a connection with a TCP reset.
func reset(conn *net.TCPConn) {
	time.Sleep(50 * time.Millisecond) // let the other side read first
	conn.SetLinger(0)
	conn.Close()
}

// TestExecResult_OutputFails sends signals all the time, so that the main loop sees the failed output and the end of
// the stream together.
func TestExecResult_OutputFails(t *testing.T) {
	t.Parallel()
	for range 100 {
		d := &scriptedDaemon{}
		d.stream = func(conn *net.TCPConn) {
			d.exit(0)
			conn.Write(framed(1, "hello\n"))
			conn.Close()
		}
		docker, in := d.open(t)
		ctx, cancel := context.WithCancel(t.Context())
		signals := make(chan string)
		var sending sync.WaitGroup
		sending.Go(func() {
			for ctx.Err() == nil {
				select {
				case signals <- "WINCH":
				case <-ctx.Done():
				}
			}
		})
		code, err := docker.Exec(ctx, in, backends.Program{
			Argv: []string{"x"}, Session: newAllocation(), Signals: signals, Stderr: io.Discard,
			Stdout: writerFunc(func([]byte) (int, error) { return 0, errWriteFailed }),
		})
		cancel()
		sending.Wait()
		if !errors.Is(err, errWriteFailed) {
			t.Fatalf("got %d, %v, want %v", code, err, errWriteFailed)
		}
	}
}

func TestExecResult_InspectFailsOnce(t *testing.T) {
	t.Parallel()
	d := &scriptedDaemon{}
	d.stream = func(conn *net.TCPConn) {
		d.exit(7)
		d.failedInspects.Store(2)
		conn.Write(framed(1, "hello\n"))
		conn.Close()
	}
	docker, in := d.open(t)
	out, code, err := run(t, docker, in, backends.Program{Argv: []string{"x"}})
	if out != "hello\n" || code != 7 || err != nil {
		t.Errorf("got %q, %d, %v", out, code, err)
	}
}

// TestExecSignal_FailureKeepsInput: a failed signal does not close stdin, because the next one may succeed. Stdin is
// closed when the last signal has failed.
func TestExecSignal_FailureKeepsInput(t *testing.T) {
	t.Parallel()
	d := &scriptedDaemon{refusesExecs: true}
	ended := make(chan time.Time, 1)
	d.stream = func(conn *net.TCPConn) {
		conn.Write(framed(1, "start\n"))
		conn.Read(make([]byte, 1))
		ended <- time.Now()
		d.exit(129)
		conn.Close()
	}
	docker, in := d.open(t)
	docker.termination.Grace = 300 * time.Millisecond
	ctx, cancel := context.WithCancelCause(t.Context())
	var left time.Time
	output := writerFunc(func(p []byte) (int, error) {
		left = time.Now()
		cancel(errWriteFailed)
		return len(p), nil
	})
	stdin, typing := io.Pipe()
	defer typing.Close()
	if _, err := docker.Exec(ctx, in, backends.Program{
		Argv: []string{"x"}, Session: newAllocation(), Stdin: stdin,
		Stdout: output, Stderr: io.Discard,
	}); !errors.Is(err, errWriteFailed) {
		t.Errorf("got %v", err)
	}
	if after := (<-ended).Sub(left); after < 2*docker.termination.Grace {
		t.Errorf("stdin was closed after %s", after)
	}
}

// TestAttachResult_StreamBroken: the container exited with 0. The exit may be reported before or after the stream.
func TestAttachResult_StreamBroken(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*net.TCPConn){
		"truncated frame": func(conn *net.TCPConn) { conn.Write(framed(1, "hello\n")[:10]); conn.Close() },
		"frame and reset": func(conn *net.TCPConn) { conn.Write(framed(1, "hello\n")); reset(conn) },
		"no frames": func(conn *net.TCPConn) {
			io.WriteString(conn, "hello, without frames")
			conn.Close()
		},
		"truncated frame and reset": func(conn *net.TCPConn) { conn.Write(framed(1, "hello\n")[:10]); reset(conn) },
	} {
		for _, containerFirst := range []bool{false, true} {
			exited := make(chan struct{})
			d := &scriptedDaemon{wait: func(w http.ResponseWriter, _ *http.Request) {
				<-exited
				io.WriteString(w, `{"StatusCode":0}`)
			}}
			d.stream = func(conn *net.TCPConn) {
				d.exit(0)
				if containerFirst {
					close(exited)
					time.Sleep(100 * time.Millisecond)
				}
				end(conn)
				if !containerFirst {
					close(exited)
				}
			}
			docker, in := d.open(t)
			code, err := docker.Attach(t.Context(), in, backends.Attachment{Stdout: io.Discard, Stderr: io.Discard})
			if err == nil {
				t.Errorf("%s, the container first: %v: got %d", name, containerFirst, code)
			}
		}
	}
}

func TestAttachResult_LateOutput(t *testing.T) {
	t.Parallel()
	exited := make(chan struct{})
	d := &scriptedDaemon{wait: func(w http.ResponseWriter, _ *http.Request) {
		<-exited
		io.WriteString(w, `{"StatusCode":3}`)
	}}
	d.stream = func(conn *net.TCPConn) {
		conn.Write(framed(1, "first\n"))
		d.exit(3)
		close(exited)
		time.Sleep(3 * time.Second)
		conn.Write(framed(1, "last\n"))
		conn.Close()
	}
	docker, in := d.open(t)
	var out syncBuffer
	code, err := docker.Attach(t.Context(), in, backends.Attachment{Stdout: &out, Stderr: io.Discard})
	if code != 3 || err != nil || out.String() != "first\nlast\n" {
		t.Errorf("got %d, %v, %q", code, err, out.String())
	}
}

func TestAttachResult_WaitFails(t *testing.T) {
	t.Parallel()
	broke := make(chan struct{})
	d := &scriptedDaemon{wait: func(http.ResponseWriter, *http.Request) { close(broke); panic(http.ErrAbortHandler) }}
	d.stream = func(conn *net.TCPConn) {
		conn.Write(framed(1, "hello\n"))
		<-broke
		time.Sleep(500 * time.Millisecond) // the failure was reported
		conn.Close()
		time.AfterFunc(300*time.Millisecond, func() { d.exit(7) })
	}
	docker, in := d.open(t)
	code, err := docker.Attach(t.Context(), in, backends.Attachment{Stdout: io.Discard, Stderr: io.Discard})
	if code != 7 || err != nil {
		t.Errorf("got %d, %v", code, err)
	}
}

// TestAttachResult_DetachKeys: the stream ends and the container keeps running, as after a daemon restart.
func TestAttachResult_DetachKeys(t *testing.T) {
	t.Parallel()
	for _, terminal := range []bool{false, true} {
		for typed, detaches := range map[string]bool{
			"": false, "x": false, "\x10": false, "\x11\x10": false,
			"\x10\x10\x11": false, "x\x10\x11": terminal,
		} {
			t.Run(fmt.Sprintf("terminal %v, %q", terminal, typed), func(t *testing.T) {
				t.Parallel()
				d := &scriptedDaemon{terminal: terminal}
				d.stream = func(conn *net.TCPConn) {
					io.ReadFull(conn, make([]byte, len(typed)))
					conn.Close()
				}
				docker, in := d.open(t)
				if !detaches { // the exit that it waits for never comes
					docker.timeouts.exit = 100 * time.Millisecond
				}
				stdin, typing := io.Pipe()
				defer typing.Close()
				go io.WriteString(typing, typed)
				_, err := docker.Attach(t.Context(), in, backends.Attachment{
					Stdin:      stdin,
					DetachKeys: "ctrl-p,ctrl-q", Stdout: io.Discard, Stderr: io.Discard,
				})
				if err == nil || errors.Is(err, backends.ErrDetached) != detaches {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}
