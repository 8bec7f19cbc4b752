package docker

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"nomadctld/backends"
)

// recordedDaemon is a daemon with one container. Its responses are copied from Docker 20.10.24 or Podman 4.3.1.
type recordedDaemon struct {
	podman bool
	after  string // response to exec inspect after the stream has ended
	frames []byte

	ended atomic.Bool
}

func (e *recordedDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/version") && e.podman:
		io.WriteString(w, `{"Components":[{"Name":"Podman Engine","Version":"4.3.1",`+
			`"Details":{"APIVersion":"4.3.1"}}],`+
			`"ApiVersion":"1.41","MinAPIVersion":"1.24"}`)
	case strings.HasSuffix(path, "/version"):
		io.WriteString(w, `{"Components":[{"Name":"Engine","Version":"20.10.24","Details":{"ApiVersion":"1.41"}}],`+
			`"ApiVersion":"1.41","MinAPIVersion":"1.12"}`)
	case strings.HasSuffix(path, "/containers/A/exec"):
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"Id":"P"}`)
	case strings.HasSuffix(path, "/exec/P/json") && e.ended.Load():
		io.WriteString(w, e.after)
	case strings.HasSuffix(path, "/exec/P/json") && e.podman:
		io.WriteString(w, `{"CanRemove":false,"ExitCode":0,"Running":false,"Pid":0}`)
	case strings.HasSuffix(path, "/exec/P/json"):
		io.WriteString(w, `{"CanRemove":false,"ExitCode":null,"Running":false,"Pid":0}`)
	case strings.HasSuffix(path, "/containers/web-1/json"):
		io.WriteString(w, `{"Id":"A","Name":"/web-1","State":{"Running":true},`+
			`"Config":{"Labels":{"com.hashicorp.nomad.alloc_id":"1"}}}`)
	case strings.HasSuffix(path, "/start"):
		io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		e.ended.Store(true)
		io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
		half := min(len(e.frames), 8) // a header may arrive alone
		conn.Write(e.frames[:half])
		conn.(*net.TCPConn).Write(e.frames[half:])
	default:
		http.NotFound(w, r)
	}
}

func (e *recordedDaemon) run(t *testing.T) (stdout string, code int, err error) {
	t.Helper()
	server := httptest.NewServer(e)
	defer server.Close()
	d := mustOpen(t, Settings{Host: server.URL})
	defer func() { // the server waits for idle connections
		for _, known := range d.daemons {
			known.http.CloseIdleConnections()
		}
	}()
	in := backends.TaskRef{Task: "web", Node: Node{Name: "node-1"}, Allocation: backends.Allocation{ID: "1"}}
	return run(t, d, in, backends.Program{Argv: []string{"nope"}})
}

func podmanExited(code int) string {
	return fmt.Sprintf(`{"CanRemove":true,"ExitCode":%d,"Running":false,"Pid":0}`, code)
}

func dockerExited(code, pid int) string {
	return fmt.Sprintf(`{"CanRemove":false,"ExitCode":%d,"Running":false,"Pid":%d}`, code, pid)
}

func TestExecResult_DockerAndPodman(t *testing.T) {
	const (
		lost     = "Error: read unixpacket @->/proc/self/fd/14/attach: read: connection reset by peer\n"
		notFound = `Error: runc: exec failed: unable to start container process: ` +
			`exec: "nope": executable file not found in $PATH: ` +
			`OCI runtime attempted to invoke a command that was not found` + "\n"
		denied = `Error: runc: exec failed: unable to start container process: ` +
			`exec: "nope": permission denied: OCI permission denied` + "\n"
	)
	both := func(first string) []byte { return append(framed(2, first), framed(2, lost)...) }
	for name, c := range map[string]struct {
		engine *recordedDaemon
		stdout string
		code   int
		err    error
	}{
		"docker, 7": {&recordedDaemon{after: dockerExited(7, 42), frames: framed(1, "hi\n")}, "hi\n", 7, nil},
		"docker, not found": {
			&recordedDaemon{
				after: dockerExited(127, 0),
				frames: framed(1, `OCI runtime exec failed: exec failed: unable to start container process: `+
					`exec: "nope": executable file not found in $PATH: unknown`+"\r\n"),
			},
			"", 0, backends.ErrProgramNotFound,
		},
		"docker, removable": {
			&recordedDaemon{
				after:  `{"CanRemove":true,"ExitCode":127,"Running":false,"Pid":0}`,
				frames: framed(1, `OCI runtime exec failed: exec: "nope": executable file not found in $PATH: unknown`),
			},
			"", 0, backends.ErrProgramNotFound,
		},
		"podman, 7": {
			&recordedDaemon{podman: true, after: podmanExited(7), frames: framed(1, "hi\n")}, "hi\n", 7,
			nil,
		},
		"podman, 0": {&recordedDaemon{podman: true, after: podmanExited(0)}, "", 0, nil},
		"podman, own 127": {
			&recordedDaemon{podman: true, after: podmanExited(127), frames: framed(1, "Error: mine\n")},
			"Error: mine\n", 127, nil,
		},
		"podman, much, then 126": {
			&recordedDaemon{
				podman: true, after: podmanExited(126),
				frames: framed(1, strings.Repeat("Error: OCI", 20_000)),
			},
			strings.Repeat("Error: OCI", 20_000), 126, nil,
		},
		"podman, not found": {
			&recordedDaemon{podman: true, after: podmanExited(127), frames: both(notFound)}, "", 0,
			backends.ErrProgramNotFound,
		},
		"podman, not executable": {
			&recordedDaemon{podman: true, after: podmanExited(126), frames: both(denied)}, "", 0,
			backends.ErrNotExecutable,
		},
	} {
		c.engine.ended.Store(false)
		stdout, code, err := c.engine.run(t)
		if stdout != c.stdout || code != c.code || !errors.Is(err, c.err) {
			t.Errorf("%s: got %.100q, %d, %v, want %.100q, %d, %v", name, stdout, code, err, c.stdout, c.code, c.err)
		}
	}
	// An exec that never started: its exit code means nothing.
	for _, podman := range []bool{false, true} {
		never := &recordedDaemon{podman: podman, after: `{"CanRemove":false,"ExitCode":0,"Running":false,"Pid":0}`}
		if _, code, err := never.run(t); err == nil || !strings.Contains(err.Error(), "was not started") {
			t.Errorf("never started, podman %v: got %d, %v", podman, code, err)
		}
	}
}
