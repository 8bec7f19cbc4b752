package docker

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
)

// daemon is one Docker daemon, with the connections to it that are open.
type daemon struct {
	endpoint *url.URL
	http     *http.Client
	tls      *tls.Config // nil: not encrypted
	log      *slog.Logger

	negotiated atomic.Pointer[apiClient] // nil until a version has been agreed on
}

// apiClient speaks one version of the API with a daemon.
type apiClient struct {
	daemon  *daemon
	version string
	client  *dockerclient.Client
	podman  bool // it is Podman that speaks Docker's API
}

func newDaemon(endpoint string, config *tls.Config, log *slog.Logger) (*daemon, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: connectTimeout,
		MaxIdleConnsPerHost: maxIdlePerDaemon,
		IdleConnTimeout:     idleTimeout,
	}
	d := &daemon{endpoint: u, http: newHTTPClient(transport), log: log}
	switch u.Scheme {
	case "unix":
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", u.Path)
		}
	case "https":
		d.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		if config != nil {
			d.tls = config.Clone()
		}
		if d.tls.ServerName == "" {
			// Named here because go-dockerclient, where it has to add the name for a stream, makes a copy of the
			// configuration that lacks the client certificate.
			d.tls.ServerName = u.Hostname()
		}
		transport.TLSClientConfig = d.tls
	}
	return d, nil
}

// newClient returns a client for a version of the API; empty: for questions that are asked without one.
func (d *daemon) newClient(version string) (*apiClient, error) {
	client, err := dockerclient.NewVersionedClient(d.endpoint.String(), version)
	if err != nil {
		return nil, err
	}
	client.SkipServerVersionCheck = true // it would ask the daemon before the first request, without a context
	client.HTTPClient, client.TLSConfig = d.http, d.tls
	client.Dialer = &net.Dialer{Timeout: connectTimeout}
	return &apiClient{daemon: d, version: version, client: client}, nil
}

// withClient lets f speak with the daemon of a node, in time. f starts nothing, and may be called again after the daemon has
// answered 400 Bad Request. What f returns comes back as an error for users.
func (d *Docker) withClient(ctx context.Context, node Node, f func(context.Context, *apiClient) error) error {
	daemon, err := d.daemon(node)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.responseTimeout)
	defer cancel()
	err = daemon.withClient(ctx, d.pinned, f)
	explained := explain(ctx, node, err)
	if isDeclinedRead(err) && !errors.Is(explained, backends.ErrUnreachable) && ctx.Err() == nil {
		return &wrappedKind{explained, backends.ErrDeclined}
	}
	return explained
}

func (d *daemon) withClient(ctx context.Context, pinned dockerclient.APIVersion, f func(context.Context, *apiClient) error) error {
	if s := d.negotiated.Load(); s != nil {
		err := f(ctx, s)
		if !hasStatus(err, http.StatusBadRequest) {
			return err
		}
		// Most likely it was replaced by one that does not speak this version.
	}
	s, err := d.negotiate(ctx, pinned)
	if err != nil {
		return err
	}
	d.negotiated.Store(s)
	return f(ctx, s)
}

// maxResponse is far more than Docker says of a container.
const maxResponse = 16 << 20

// send sends a request, with a body in JSON unless it is nil. go-dockerclient parses all answers into types of its own,
// takes no context for some, and has no way around that which is exported; so these requests are made here, on the
// connections that it uses too. The caller closes the answer's body; an answer that is no success is an error.
func (s *apiClient) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(encoded)
	}
	base := *s.daemon.endpoint
	if base.Scheme == "unix" {
		base = url.URL{Scheme: "http", Host: "docker"}
	}
	request, err := http.NewRequestWithContext(ctx, method, base.String()+"/v"+s.version+path, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := s.daemon.http.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxResponse))
	if err != nil {
		return nil, err
	}
	return nil, &dockerclient.Error{Status: answer.StatusCode, Message: errorMessage(text)}
}

// request sends a request without a body.
func (s *apiClient) request(ctx context.Context, method, path string) (*http.Response, error) {
	return s.send(ctx, method, path, nil)
}

// get returns the body of the answer to a GET.
func (s *apiClient) get(ctx context.Context, path string) ([]byte, error) {
	return s.readBody(ctx, http.MethodGet, path, nil)
}

// readBody returns the body of the answer to a request.
func (s *apiClient) readBody(ctx context.Context, method, path string, content any) ([]byte, error) {
	answer, err := s.send(ctx, method, path, content)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxResponse+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxResponse:
		return nil, errBadResponse
	}
	return body, nil
}

// supports reports whether the version of the API that is spoken is at least this one.
func (s *apiClient) supports(major, minor int) bool {
	version, err := dockerclient.NewAPIVersion(s.version)
	return err == nil && version.GreaterThanOrEqualTo(dockerclient.APIVersion{major, minor})
}

func hasStatus(err error, status int) bool {
	var answer *dockerclient.Error
	return errors.As(err, &answer) && answer.Status == status
}

func hasAnyStatus(err error) bool {
	var answer *dockerclient.Error
	return errors.As(err, &answer)
}
