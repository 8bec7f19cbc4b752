//go:build linux

package nomadcli

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// proxy forwards the requests of one run of the program to the cluster. The program can connect only to the proxy's
// socket and has no token. The proxy adds the token, sends every request to the cluster's own address, and refuses
// redirects.
type proxy struct {
	url       string // for NOMAD_ADDR; unix sockets need Nomad 1.7 or newer
	server    *http.Server
	transport *http.Transport
	cancel    context.CancelFunc
	served    chan struct{} // closed when the server has stopped

	mu       sync.Mutex
	closed   bool           // guarded by mu; no new handler may start
	handlers sync.WaitGroup // Add only with mu held
}

const (
	tokenHeader   = "X-Nomad-Token"
	dialTimeout   = 10 * time.Second
	maxSocketPath = 107 // Linux's limit, without the NUL
	maxNodeBytes  = 16 << 20
)

// startProxy listens on a socket in dir that only the account can use.
func startProxy(dir string, as account, c Cluster, hideAddresses bool) (*proxy, error) {
	target, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("the address of the cluster is invalid")
	}
	path := filepath.Join(dir, "nomad.sock")
	if len(path) > maxSocketPath || (&url.URL{Path: path}).EscapedPath() != path {
		return nil, fmt.Errorf("the socket path for nomad %s is too long or has special characters; "+
			"set TMPDIR of the gateway to a short, plain path", quoted(path))
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("create a socket for nomad: %w", err)
	}
	err = os.Chmod(path, 0o600)
	if err == nil && as.switchUser {
		err = os.Chown(path, int(as.uid), int(as.gid))
	}
	if err != nil {
		listener.Close()
		return nil, fmt.Errorf("create a socket for nomad: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &proxy{
		url:    "unix://" + path,
		cancel: cancel,
		served: make(chan struct{}),
		transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSClientConfig:     c.TLS,
			TLSHandshakeTimeout: dialTimeout,
			DisableCompression:  true,                                                   // the program decides
			TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{}, // websockets need HTTP/1.1
		},
	}
	silent := log.New(io.Discard, "", 0) // the program gets the error
	forward := &httputil.ReverseProxy{
		Transport:      p.transport,
		FlushInterval:  -1, // followed logs must not be delayed
		ErrorLog:       silent,
		Rewrite:        func(r *httputil.ProxyRequest) { rewriteRequest(r, target, c.Token, hideAddresses) },
		ModifyResponse: func(r *http.Response) error { return filterResponse(r, hideAddresses) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "nomadctld: "+err.Error(), http.StatusBadGateway)
		},
	}
	p.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if p.startHandler() {
				defer p.handlers.Done()
				forward.ServeHTTP(w, r)
			}
		}),
		BaseContext: func(net.Listener) context.Context { return ctx }, // also ends websockets
		ErrorLog:    silent,
	}
	go func() {
		defer close(p.served)
		p.server.Serve(listener)
	}()
	return p, nil
}

// startHandler registers a handler, unless the proxy is closed.
func (p *proxy) startHandler() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.handlers.Add(1)
	}
	return !p.closed
}

// close closes all connections and returns when nothing of the proxy is left.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.server.Close()
	<-p.served
	p.handlers.Wait()
	p.transport.CloseIdleConnections()
}

// rewriteRequest directs a request to the cluster, regardless of the host that the program used.
func rewriteRequest(r *httputil.ProxyRequest, target *url.URL, token string, hideAddresses bool) {
	r.SetURL(target) // the Host header too
	r.Out.Header.Del("Authorization")
	r.Out.Header.Del(tokenHeader)
	if token != "" {
		r.Out.Header.Set(tokenHeader, token)
	}
	if hideAddresses && nodePath.MatchString(r.Out.URL.Path) {
		r.Out.Header.Del("Accept-Encoding") // filterResponse reads the body
	}
}

var nodePath = regexp.MustCompile(`^/v1/node/[^/]+$`)

// filterResponse returns an error for a response that the program must not get. For programs that connect to nodes
// directly, it removes the node's address. The program then sends its requests to the servers: it has no token to
// send to a node.
func filterResponse(r *http.Response, hideAddresses bool) error {
	switch {
	case r.StatusCode >= 300 && r.StatusCode < 400 && r.StatusCode != http.StatusNotModified:
		return fmt.Errorf("Nomad sent a redirect (%d) to %s, and redirects are not followed; check the url of the tier",
			r.StatusCode, quoted(r.Header.Get("Location")))
	case !hideAddresses || r.StatusCode != http.StatusOK || r.Request.Method != http.MethodGet,
		!nodePath.MatchString(r.Request.URL.Path):
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxNodeBytes))
	if err != nil {
		return fmt.Errorf("cannot read Nomad's response about a node: %w", err)
	}
	var node map[string]json.RawMessage
	if err := json.Unmarshal(body, &node); err != nil {
		return fmt.Errorf("cannot parse Nomad's response about a node: %w", err)
	}
	for name := range node {
		if strings.EqualFold(name, "HTTPAddr") {
			delete(node, name)
		}
	}
	if body, err = json.Marshal(node); err != nil {
		return err
	}
	r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", fmt.Sprint(len(body)))
	return nil
}
