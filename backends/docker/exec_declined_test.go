package docker

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nomadctld/backends"
)

// decliningProxy is a daemon behind a proxy that responds with status and text to paths that end in refused.
type decliningProxy struct {
	daemon  http.Handler
	refused string
	status  int
	text    string
}

func (p *decliningProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, p.refused) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(p.status)
		io.WriteString(w, p.text)
		return
	}
	p.daemon.ServeHTTP(w, r)
}

func TestExecDeclined_OnlyBeforeStart(t *testing.T) {
	const create, start, inspect, version = "/containers/A/exec", "/exec/P/start", "/containers/web-1/json", "/version"
	for _, c := range []struct {
		refused  string
		status   int
		text     string
		declined bool
	}{
		{create, 403, "<html><body><h1>403 Forbidden</h1></body></html>", true},
		{create, 401, "", true},
		{create, 404, `{"message":"page not found"}`, true},
		{create, 405, "", true},
		{create, 501, "", true},
		{create, 502, "", true},
		{create, 503, "", true},
		{create, 504, "", true},
		{create, 404, `{"message":"No such container: A"}`, false},
		{create, 409, `{"message":"Container A is not running"}`, false},
		{create, 500, `{"message":"broken"}`, false},
		{inspect, 403, "", true},
		{inspect, 503, "", true},
		{version, 403, "", true},
		{version, 200, "<html>", true},
		{version, 200, `{"ApiVersion":"1.99","MinAPIVersion":"1.90"}`, true},
		{start, 403, "", true},
		{start, 404, "404 page not found", true},
		{start, 405, "", true},
		{start, 501, "", true},
		{start, 404, `{"message":"No such exec instance: P"}`, false},
		{start, 409, `{"message":"Container A is not running"}`, false},
		{start, 500, "", false},
		{start, 502, "", false}, // the daemon may have started it
		{start, 503, "", false},
		{start, 504, "", false},
	} {
		server := httptest.NewServer(&decliningProxy{
			&recordedDaemon{after: dockerExited(0, 0)}, c.refused, c.status,
			c.text,
		})
		d := mustOpen(t, Settings{Host: server.URL})
		in := backends.TaskRef{Task: "web", Node: Node{Name: "node-1"}, Allocation: backends.Allocation{ID: "1"}}
		stdin := strings.NewReader("input")
		stdout, code, err := run(t, d, in, backends.Program{Argv: []string{"cat"}, Stdin: stdin})
		if err == nil || errors.Is(err, backends.ErrDeclined) != c.declined || stdout != "" ||
			strings.ContainsAny(err.Error(), "\n<") {
			t.Errorf("%+v: got %q, %d, %v", c, stdout, code, err)
		}
		if c.declined && stdin.Len() != len("input") {
			t.Errorf("%+v: %d bytes of the input are unread, want all", c, stdin.Len())
		}
		for _, known := range d.daemons {
			known.http.CloseIdleConnections()
		}
		server.Close()
	}
}
