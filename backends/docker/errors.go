package docker

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
)

// ErrNoContainer: Docker has no container of the task. ErrUnreachable: the daemon did not respond.
var (
	ErrNoContainer = errors.New("container not found")
	ErrUnreachable = withKind("the Docker daemon cannot be reached", backends.ErrUnreachable)
)

// kindError is an error with its own text. errors.Is also matches kind.
type kindError struct {
	error
	kind error
}

func (e *kindError) Unwrap() []error { return []error{e.error, e.kind} }

func withKind(text string, kind error) error { return &kindError{errors.New(text), kind} }

// userError marks an error whose text is ready for users.
type userError struct{ error }

func (e userError) Unwrap() error { return e.error }

func userErrorf(format string, args ...any) error { return userError{fmt.Errorf(format, args...)} }

// kindErrorf returns a userError. errors.Is also matches kind.
func kindErrorf(kind error, format string, args ...any) error {
	return userError{&kindError{fmt.Errorf(format, args...), kind}}
}

// daemonError describes a problem with a daemon that responds. Its text continues "the Docker daemon of node X ...".
type daemonError string

func (e daemonError) Error() string { return string(e) }

func daemonErrorf(format string, args ...any) error { return daemonError(fmt.Sprintf(format, args...)) }

const errBadResponse = daemonError("returned an invalid response")

// isDeclined reports whether a response means that a daemon, or a proxy in front of it, does not serve such requests.
// Then nothing was started. A 404 that names a missing object is from Docker or Podman itself and does not
// count.
func isDeclined(response *dockerclient.Error) bool {
	switch response.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	case http.StatusNotFound:
		return !strings.Contains(strings.ToLower(response.Message), "no such")
	}
	return false
}

// isDeclinedRead is isDeclined for the error of a request that starts nothing. Here 502, 503, 504, an unsupported API
// version and an invalid response count as declined, too.
func isDeclinedRead(err error) bool {
	var daemonErr daemonError
	var response *dockerclient.Error
	if errors.As(err, &response) {
		switch response.Status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return isDeclined(response)
	}
	return errors.As(err, &daemonErr) || isBadJSON(err)
}

// isBadJSON reports whether err is an error of a JSON decoder.
func isBadJSON(err error) bool {
	var syntax *json.SyntaxError
	var other *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &other)
}

// explain returns err as an error for users: one line, without addresses. If the caller canceled ctx, explain returns
// the cause.
func explain(ctx context.Context, node Node, err error) error {
	var daemonErr daemonError
	var response *dockerclient.Error
	var forUsers userError
	switch {
	case err == nil, errors.Is(err, ErrNoContainer):
		return err
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return context.Cause(ctx)
	case errors.As(err, &forUsers):
		return forUsers.error
	case errors.As(err, &daemonErr):
	case errors.As(err, &response):
		text := firstLine(response.Message)
		if text == "" || text[0] == '<' { // the HTML page of a proxy
			text = http.StatusText(response.Status)
		}
		daemonErr = daemonError(strings.TrimSpace(fmt.Sprintf("returned %d %s", response.Status, text)))
	case isBadJSON(err):
		daemonErr = errBadResponse
	case ctx.Err() != nil:
		return unreachable(node, errNoResponse)
	default:
		return unreachable(node, rootCause(err))
	}
	err = fmt.Errorf("the Docker daemon of node %s %w", displayName(node.Name), daemonErr)
	if response != nil && isDeclined(response) {
		err = &kindError{err, backends.ErrDeclined}
	}
	return err
}

// unreachable returns the error for a daemon that cannot be reached, because of why.
func unreachable(node Node, why error) error {
	err := fmt.Errorf("the Docker daemon of node %s cannot be reached: %w", displayName(node.Name), why)
	return &kindError{err, ErrUnreachable}
}

var errNoResponse = errors.New("no response in time")

// rootCause returns the innermost useful error, without the addresses that package net adds.
func rootCause(err error) error {
	var dns *net.DNSError
	var name x509.HostnameError
	var slow net.Error
	var system *os.SyscallError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return errors.New("the name of the node cannot be resolved")
	case errors.As(err, &dns):
		return errors.New("the name of the node cannot be resolved at the moment")
	case errors.As(err, &name):
		return errors.New("its certificate is for another host")
	case errors.As(err, &slow) && slow.Timeout():
		return errNoResponse
	case errors.Is(err, dockerclient.ErrConnectionRefused):
		return errors.New("connection refused")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection was closed")
	case errors.As(err, &system):
		return system.Err
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return errors.New(firstLine(err.Error()))
		}
		err = inner
	}
}

// displayName returns a name from the cluster for messages. It is quoted if it has unprintable characters.
func displayName(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

// errorMessage returns the text of an error response: the message of its JSON, or the body if it is not JSON.
func errorMessage(body []byte) string {
	var response struct{ Message string }
	if json.Unmarshal(body, &response) == nil && response.Message != "" {
		return response.Message
	}
	return string(body)
}

// firstLine returns the first line of a text, truncated to 200 bytes.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	const maxLength = 200
	if len(line) > maxLength {
		line = line[:maxLength] + "..."
	}
	return line
}

// isReset reports whether a connection was reset. The daemon resets it if a program exits without reading all input.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
