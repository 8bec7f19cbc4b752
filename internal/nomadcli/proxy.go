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

// proxy stands between one run of the program and the cluster. The program reaches nothing but its socket and knows no
// token: the proxy adds that, sends every request to the cluster's own address, and passes no redirect on.
type proxy struct {
	url       string // for NOMAD_ADDR; the program needs Nomad 1.7 for it
	server    *http.Server
	transport *http.Transport
	cancel    context.CancelFunc
	served    chan struct{}

	mu       sync.Mutex
	closed   bool // no handler may start any more; guarded by mu
	handlers sync.WaitGroup
}

const (
	tokenHeader   = "X-Nomad-Token"
	dialTimeout   = 10 * time.Second
	maxSocketPath = 107 // of Linux, without the NUL
	maxNodeBytes  = 16 << 20
)

// startProxy listens on a socket in dir, which is the account's alone.
func startProxy(dir string, as account, c Cluster, hideNodes bool) (*proxy, error) {
	target, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("the address of the cluster cannot be read")
	}
	path := filepath.Join(dir, "nomad.sock")
	if len(path) > maxSocketPath || (&url.URL{Path: path}).EscapedPath() != path {
		return nil, fmt.Errorf("the path of a socket for nomad cannot be %s: give the gateway a TMPDIR with a short and plain name", quoted(path))
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("a socket for nomad: %w", err)
	}
	err = os.Chmod(path, 0o600)
	if err == nil && as.switchUser {
		err = os.Chown(path, int(as.uid), int(as.gid))
	}
	if err != nil {
		listener.Close()
		return nil, fmt.Errorf("a socket for nomad: %w", err)
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
			TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{}, // a websocket is HTTP/1.1
		},
	}
	silent := log.New(io.Discard, "", 0) // the program gets the error
	forward := &httputil.ReverseProxy{
		Transport:      p.transport,
		FlushInterval:  -1, // logs are followed
		ErrorLog:       silent,
		Rewrite:        func(r *httputil.ProxyRequest) { rewriteRequest(r, target, c.Token, hideNodes) },
		ModifyResponse: func(r *http.Response) error { return checkResponse(r, hideNodes) },
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
		BaseContext: func(net.Listener) context.Context { return ctx }, // which a websocket ends with too
		ErrorLog:    silent,
	}
	go func() {
		defer close(p.served)
		p.server.Serve(listener)
	}()
	return p, nil
}

func (p *proxy) startHandler() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.handlers.Add(1)
	}
	return !p.closed
}

// close cuts all connections and returns when nothing of the proxy is left.
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

// rewriteRequest makes a request one to the cluster, whatever host the program has sent it to.
func rewriteRequest(r *httputil.ProxyRequest, target *url.URL, token string, hideNodes bool) {
	r.SetURL(target) // the host too
	r.Out.Header.Del("Authorization")
	r.Out.Header.Del(tokenHeader)
	if token != "" {
		r.Out.Header.Set(tokenHeader, token)
	}
	if hideNodes && nodePath.MatchString(r.Out.URL.Path) {
		r.Out.Header.Del("Accept-Encoding") // it is read here
	}
}

var nodePath = regexp.MustCompile(`^/v1/node/[^/]+$`)

// checkResponse returns an error for a response that the program must not get. To a program that asks nodes itself it gives no
// address of one, so that it asks the servers: to a node it could bring no token.
func checkResponse(r *http.Response, hideNodes bool) error {
	switch {
	case r.StatusCode >= 300 && r.StatusCode < 400 && r.StatusCode != http.StatusNotModified:
		return fmt.Errorf("Nomad sent a redirect (%d) to %s, and redirects are not followed: check the url of the tier", r.StatusCode, quoted(r.Header.Get("Location")))
	case !hideNodes || r.StatusCode != http.StatusOK || r.Request.Method != http.MethodGet || !nodePath.MatchString(r.Request.URL.Path):
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxNodeBytes))
	if err != nil {
		return fmt.Errorf("Nomad's response about a node broke off: %w", err)
	}
	var node map[string]json.RawMessage
	if err := json.Unmarshal(body, &node); err != nil {
		return fmt.Errorf("Nomad's response about a node cannot be read: %w", err)
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
