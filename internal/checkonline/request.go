package checkonline

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxResponse bounds the body of a response. The largest one is the list of the nodes.
const maxResponse = 64 << 20

// statusError is a response other than 200.
type statusError struct {
	status int
	body   string // its first line
}

func (e *statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("Nomad returned %d %s", e.status, e.body))
}

func isForbidden(err error) bool {
	var refused *statusError
	return errors.As(err, &refused) && refused.status == http.StatusForbidden
}

// newHTTPClient returns a client that does not follow redirects, because a request contains the token.
func newHTTPClient(settings *tls.Config) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: settings},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// get reads a path into out. The response, whose body is closed, is nil if there was none.
func (c *check) get(ctx context.Context, path string, out any) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.tier.URL+path, nil)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		request.Header.Set("X-Nomad-Token", c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse))
	if err != nil {
		return response, err
	}
	if response.StatusCode != http.StatusOK {
		line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		return response, &statusError{response.StatusCode, line[:min(len(line), 200)]}
	}
	if err := json.Unmarshal(body, out); err != nil {
		return response, errors.New("the response is not from Nomad")
	}
	return response, nil
}

// withoutURL returns the reason of an error of an HTTP client.
func withoutURL(err error) error {
	var request *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("timed out")
	case errors.As(err, &request):
		return request.Err
	}
	return err
}
