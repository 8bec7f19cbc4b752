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

// daemon is one Docker daemon with its open connections.
type daemon struct {
	endpoint *url.URL
	http     *http.Client
	tls      *tls.Config // nil: not encrypted
	log      *slog.Logger

	negotiated atomic.Pointer[apiClient] // nil until a version was negotiated
}

// apiClient sends requests to a daemon in one version of the API.
type apiClient struct {
	daemon  *daemon
	version string
	client  *dockerclient.Client
	podman  bool // the daemon is Podman, which offers Docker's API
}

// newDaemon returns the daemon at an endpoint without connecting to it.
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
			// go-dockerclient sets a missing name in a copy of the configuration that lacks the client certificate.
			d.tls.ServerName = u.Hostname()
		}
		transport.TLSClientConfig = d.tls
	}
	return d, nil
}

// newClient returns a client for a version of the API. If it is empty, the requests have no version in their path.
func (d *daemon) newClient(version string) (*apiClient, error) {
	client, err := dockerclient.NewVersionedClient(d.endpoint.String(), version)
	if err != nil {
		return nil, err
	}
	client.SkipServerVersionCheck = true // the check would send a request without a context
	client.HTTPClient, client.TLSConfig = d.http, d.tls
	client.Dialer = &net.Dialer{Timeout: connectTimeout}
	return &apiClient{daemon: d, version: version, client: client}, nil
}

// withClient calls f with a client for the daemon of a node, within responseTimeout. f must not start anything: it is
// called again after a 400 Bad Request. Errors of f are returned as errors for users.
func (d *Docker) withClient(ctx context.Context, node Node, f func(context.Context, *apiClient) error) error {
	daemon, err := d.daemon(node)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeouts.response)
	defer cancel()
	err = daemon.withClient(ctx, d.pinned, f)
	explained := explain(ctx, node, err)
	if isDeclinedRead(err) && !errors.Is(explained, backends.ErrUnreachable) && ctx.Err() == nil {
		return &kindError{explained, backends.ErrDeclined}
	}
	return explained
}

// withClient calls f with the negotiated client. After a 400 it negotiates again and repeats the call.
func (d *daemon) withClient(
	ctx context.Context, pinned dockerclient.APIVersion, f func(context.Context, *apiClient) error,
) error {
	if c := d.negotiated.Load(); c != nil {
		err := f(ctx, c)
		if !hasStatus(err, http.StatusBadRequest) {
			return err
		}
		// The daemon was probably replaced by a version that does not support this API version.
	}
	c, err := d.negotiate(ctx, pinned)
	if err != nil {
		return err
	}
	d.negotiated.Store(c)
	return f(ctx, c)
}

// maxResponse bounds the body of a response. Docker's own are far smaller.
const maxResponse = 16 << 20

// send sends a request, with body as JSON unless it is nil. It shares the HTTP client of go-dockerclient, which lacks
// some requests, has requests without a context, and returns only its own types. The caller closes the body of the
// response. A status other than 2xx is an error.
func (c *apiClient) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(encoded)
	}
	base := *c.daemon.endpoint
	if base.Scheme == "unix" {
		base = url.URL{Scheme: "http", Host: "docker"}
	}
	request, err := http.NewRequestWithContext(ctx, method, base.String()+"/v"+c.version+path, reader)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.daemon.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxResponse))
	if err != nil {
		return nil, err
	}
	return nil, &dockerclient.Error{Status: response.StatusCode, Message: errorMessage(text)}
}

// request sends a request without a body.
func (c *apiClient) request(ctx context.Context, method, path string) (*http.Response, error) {
	return c.send(ctx, method, path, nil)
}

// get returns the body of the response to a GET.
func (c *apiClient) get(ctx context.Context, path string) ([]byte, error) {
	return c.sendAndRead(ctx, http.MethodGet, path, nil)
}

// sendAndRead sends a request, with body as JSON, and returns the body of the response.
func (c *apiClient) sendAndRead(ctx context.Context, method, path string, body any) ([]byte, error) {
	response, err := c.send(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > maxResponse:
		return nil, errBadResponse
	}
	return content, nil
}

// supports reports whether the client's API version is at least major.minor.
func (c *apiClient) supports(major, minor int) bool {
	version, err := dockerclient.NewAPIVersion(c.version)
	return err == nil && version.GreaterThanOrEqualTo(dockerclient.APIVersion{major, minor})
}

// hasStatus reports whether err is a response with this status.
func hasStatus(err error, status int) bool {
	var response *dockerclient.Error
	return errors.As(err, &response) && response.Status == status
}

// hasAnyStatus reports whether err is an error response of the daemon.
func hasAnyStatus(err error) bool {
	var response *dockerclient.Error
	return errors.As(err, &response)
}
