//go:build linux

package nomadcli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// proxied returns a client that connects to a cluster through a new proxy.
func proxied(t *testing.T, c Cluster, hideAddresses bool) (client *http.Client, p *proxy) {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if p, err = startProxy(dir, account{}, c, hideAddresses); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableCompression: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(p.url, "unix://"))
			},
		},
	}, p
}

// requestLog records the requests that a server receives.
type requestLog struct {
	mu       sync.Mutex
	requests []*http.Request
	handler  http.HandlerFunc
}

func (s *requestLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	if s.handler != nil {
		s.handler(w, r)
	}
}

func (s *requestLog) all() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func serve(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *requestLog) {
	t.Helper()
	s := &requestLog{handler: handler}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server, s
}

func body(t *testing.T, r *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestProxy_AddsTheToken(t *testing.T) {
	t.Parallel()
	server, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, text)
	})
	client, _ := proxied(t, Cluster{URL: server.URL, Token: "secret"}, false)
	r, _ := http.NewRequest("PUT", "http://another.example/v1/job/a%2Fb?namespace=x", strings.NewReader("{}"))
	r.Header.Set("X-Nomad-Token", "mine")
	r.Header.Set("Authorization", "Bearer mine")
	response, err := client.Do(r)
	if got := body(t, response, err); got != "PUT /v1/job/a%2Fb?namespace=x {}" ||
		response.StatusCode != http.StatusTeapot {
		t.Errorf("got %q, %d", got, response.StatusCode)
	}
	got := requests.all()[0]
	if token := got.Header["X-Nomad-Token"]; len(token) != 1 || token[0] != "secret" ||
		got.Header.Get("Authorization") != "" || "http://"+got.Host != server.URL {
		t.Errorf("got %v for %s, want only the cluster's token and host", got.Header, got.Host)
	}
	client, _ = proxied(t, Cluster{URL: server.URL}, false)
	response, err = client.Get("http://x/v1/jobs")
	body(t, response, err)
	if token, ok := requests.all()[1].Header["X-Nomad-Token"]; ok {
		t.Errorf("without a token: got %q, want none", token)
	}
}

// TestProxy_RefusesRedirects: with a redirect, the program would send its next request to another host.
func TestProxy_RefusesRedirects(t *testing.T) {
	t.Parallel()
	other, others := serve(t, nil)
	for _, code := range []int{300, 301, 302, 303, 305, 307, 308} {
		server, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL+r.RequestURI)
			w.WriteHeader(code)
		})
		client, _ := proxied(t, Cluster{URL: server.URL, Token: "secret"}, false)
		for _, upgrade := range []string{"", "websocket"} {
			r, _ := http.NewRequest("GET", "http://x/v1/jobs", nil)
			if upgrade != "" {
				r.Header.Set("Connection", "Upgrade")
				r.Header.Set("Upgrade", upgrade)
			}
			response, err := client.Do(r)
			want := fmt.Sprintf("nomadctld: Nomad sent a redirect (%d) to %q, and redirects are not followed; "+
				"check the url of the tier\n", code, other.URL+"/v1/jobs")
			if got := body(t, response, err); got != want || response.StatusCode != 502 ||
				response.Header.Get("Location") != "" {
				t.Errorf("%d: got %d, %q, %v", code, response.StatusCode, got, response.Header)
			}
		}
	}
	if got := others.all(); len(got) > 0 {
		t.Errorf("the other host got %d requests, want none", len(got))
	}
}

func TestProxy_PassesOtherResponses(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 204, 304, 403, 404, 500} {
		server, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) })
		client, _ := proxied(t, Cluster{URL: server.URL}, true)
		response, err := client.Get("http://x/v1/jobs")
		if body(t, response, err); response.StatusCode != code {
			t.Errorf("got %d, want %d", response.StatusCode, code)
		}
	}
}

func TestProxy_StreamsAtOnce(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	server, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first\n")
		w.(http.Flusher).Flush()
		<-goOn
		io.WriteString(w, "second\n")
	})
	client, _ := proxied(t, Cluster{URL: server.URL}, false)
	response, err := client.Get("http://x/v1/client/fs/logs/1?follow=true")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	first, err := lines.ReadString('\n')
	close(goOn)
	second, err2 := lines.ReadString('\n')
	if first != "first\n" || second != "second\n" {
		t.Errorf("got %q, %v, %q, %v", first, err, second, err2)
	}
}

// upgraded opens an upgraded connection, like a websocket, through a proxy to an echo server.
func upgraded(t *testing.T, p *proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(p.url, "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	io.WriteString(conn, "GET /v1/client/allocation/1/exec HTTP/1.1\r\nHost: x\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil) // the server sends nothing before it receives something
	if err != nil || response.StatusCode != 101 {
		t.Fatalf("got %v, %v", response, err)
	}
	return conn
}

func echo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Nomad-Token") != "secret" {
		w.WriteHeader(403)
		return
	}
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "websocket")
	w.WriteHeader(101)
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.Copy(conn, buffered)
}

func TestProxy_Websocket(t *testing.T) {
	t.Parallel()
	server, _ := serve(t, echo)
	_, p := proxied(t, Cluster{URL: server.URL, Token: "secret"}, true)
	conn := upgraded(t, p)
	io.WriteString(conn, "there and back")
	got := make([]byte, len("there and back"))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "there and back" {
		t.Errorf("got %q, %v", got, err)
	}
	// The end of a run closes it too.
	p.close()
	if n, err := conn.Read(got); n > 0 || err == nil {
		t.Errorf("after close: got %q, %v", got[:n], err)
	}
}

func TestProxy_HidesNodeAddresses(t *testing.T) {
	t.Parallel()
	const node = `{"ID":"n1","HTTPAddr":"192.0.2.1:4646","Status":"ready","Big":12345678901234567890}`
	server, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, node) })
	for _, tc := range []struct {
		hide   bool
		method string
		path   string
		want   string
	}{
		{true, "GET", "/v1/node/n1", `{"Big":12345678901234567890,"ID":"n1","Status":"ready"}`},
		{false, "GET", "/v1/node/n1", node},
		{true, "PUT", "/v1/node/n1", node},
		{true, "GET", "/v1/node/n1/allocations", node},
		{true, "GET", "/v1/nodes", node},
	} {
		client, _ := proxied(t, Cluster{URL: server.URL}, tc.hide)
		r, _ := http.NewRequest(tc.method, "http://x"+tc.path, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		response, err := client.Do(r)
		if got := body(t, response, err); got != tc.want {
			t.Errorf("%s %s, hidden %t: got %s, want %s", tc.method, tc.path, tc.hide, got, tc.want)
		}
	}
}

func TestProxy_VerifiesTheCluster(t *testing.T) {
	t.Parallel()
	requests := &requestLog{}
	server := httptest.NewUnstartedServer(requests)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client, _ := proxied(t, Cluster{URL: server.URL, Token: "secret", TLS: &tls.Config{RootCAs: roots}}, false)
	response, err := client.Get("http://x/v1/jobs")
	if body(t, response, err); response.StatusCode != 200 || len(requests.all()) != 1 {
		t.Errorf("got %d and %d requests, want 200 and 1", response.StatusCode, len(requests.all()))
	}
	client, _ = proxied(t, Cluster{URL: server.URL, Token: "secret"}, false)
	response, err = client.Get("http://x/v1/jobs")
	if got := body(t, response, err); response.StatusCode != 502 || !strings.Contains(got, "certificate") ||
		len(requests.all()) != 1 {
		t.Errorf("with another CA: got %d, %q and %d requests, want 502 and 1", response.StatusCode, got, len(requests.all()))
	}
}

func TestProxy_ReportsNomadUnreachable(t *testing.T) {
	t.Parallel()
	client, _ := proxied(t, Cluster{URL: "http://127.0.0.1:1", Token: "secret"}, false)
	response, err := client.Get("http://x/v1/jobs")
	if got := body(t, response, err); response.StatusCode != 502 || !strings.HasPrefix(got, "nomadctld: ") ||
		!strings.Contains(got, "connection refused") {
		t.Errorf("got %d, %q", response.StatusCode, got)
	}
}

func TestProxy_NeedsAShortPath(t *testing.T) {
	t.Parallel()
	for _, name := range []string{strings.Repeat("x", 100), "a b", "a%20b"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if p, err := startProxy(dir, account{}, Cluster{}, false); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
			t.Errorf("%s: got %v, %v, want a hint", name, p, err)
		}
	}
}

// fakeNomad is a cluster with one allocation on a node that reports the address nodeAddr.
func fakeNomad(nodeAddr string) http.HandlerFunc {
	const id = "11111111-2222-3333-4444-555555555555"
	alloc := `{"ID":"` + id + `","NodeID":"` + id +
		`","Namespace":"default","JobID":"p-web","TaskGroup":"web","ClientStatus":"running","DesiredStatus":"run",` +
		`"Job":{"ID":"p-web","TaskGroups":[{"Name":"web","Tasks":[{"Name":"web"}]}]},` +
		`"TaskStates":{"web":{"State":"running"}}}`
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("X-Nomad-Token") != "secret":
			http.Error(w, "Permission denied", http.StatusForbidden)
		case r.URL.Path == "/v1/allocations":
			io.WriteString(w, "["+alloc+"]")
		case r.URL.Path == "/v1/allocation/"+id:
			io.WriteString(w, alloc)
		case r.URL.Path == "/v1/node/"+id:
			fmt.Fprintf(w, `{"ID":"%s","Status":"ready","HTTPAddr":%q}`, id, nodeAddr)
		case strings.HasPrefix(r.URL.Path, "/v1/client/fs/"):
			io.WriteString(w, `{"File":"web.stdout.0","Offset":19,"Data":"aGVsbG8gZnJvbSB0aGUgdGFzaw=="}`)
		default:
			http.NotFound(w, r)
		}
	}
}

// TestProxy_RealNomadKeepsTokenInCluster covers clusters, or attackers on the network, that redirect the program.
func TestProxy_RealNomadKeepsTokenInCluster(t *testing.T) {
	t.Parallel()
	b := Binary{Path: realNomad(t)}
	run := func(c Cluster, line, stdin string) (int, string) {
		var out bytes.Buffer
		code, err := b.Run(t.Context(), c, strings.Fields(line), strings.NewReader(stdin), &out, &out, nil)
		if err != nil {
			t.Errorf("%s: got %v", line, err)
		}
		return code, out.String()
	}
	other, others := serve(t, nil)
	redirecting, asked := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.RequestURI, http.StatusTemporaryRedirect)
	})
	const job = `{"Job":{"ID":"p-web","Name":"p-web","Type":"batch","Datacenters":["*"],"TaskGroups":[` +
		`{"Name":"a","Count":1,"Tasks":[{"Name":"a","Driver":"raw_exec"}]}]}}`
	for line, stdin := range map[string]string{
		"job status": "", "alloc exec -job p-web sh": "", "job run -json -": job,
		"node status": "", "monitor": "",
	} {
		before := len(asked.all())
		code, out := run(Cluster{URL: redirecting.URL, Token: "secret"}, line, stdin)
		if code == 0 || !strings.Contains(out, "Nomad sent a redirect (307)") || len(asked.all()) == before {
			t.Errorf("%s: got %d, %q, want the redirect refused", line, code, out)
		}
	}
	// A node reports its address, and the program would connect to it.
	cluster, _ := serve(t, fakeNomad(strings.TrimPrefix(other.URL, "http://")))
	for _, line := range []string{"alloc logs 11111111 web", "alloc fs 11111111 alloc/x", "alloc exec 11111111 sh"} {
		code, out := run(Cluster{URL: cluster.URL, Token: "secret"}, line, "")
		if strings.Contains(line, "logs") && (code != 0 || out != "hello from the task") {
			t.Errorf("%s: got %d, %q", line, code, out)
		}
	}
	for _, r := range others.all() {
		t.Errorf("another host received %s %s with the token %q", r.Method, r.URL, r.Header.Get("X-Nomad-Token"))
	}
}
