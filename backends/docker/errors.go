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

// ErrNoContainer is a task of which Docker has no container; ErrUnreachable a daemon that gave no answer.
var (
	ErrNoContainer = errors.New("docker has no container")
	ErrUnreachable = withKind("cannot be reached", backends.ErrUnreachable)
)

// wrappedKind is an error with words of its own that counts as another one too.
type wrappedKind struct {
	error
	kind error
}

func (k *wrappedKind) Unwrap() []error { return []error{k.error, k.kind} }

func withKind(text string, of error) error { return &wrappedKind{errors.New(text), of} }

// userError is an error that is in words for users already.
type userError struct{ error }

func (s userError) Unwrap() error { return s.error }

func userErrorf(format string, args ...any) error { return userError{fmt.Errorf(format, args...)} }

// daemonError is what is wrong with a daemon that answers, as a predicate.
type daemonError string

func (f daemonError) Error() string { return string(f) }

func daemonErrorf(format string, args ...any) error { return daemonError(fmt.Sprintf(format, args...)) }

const errBadResponse = daemonError("gives an answer that cannot be read")

// isDeclined reports whether a status is of a daemon, or of a proxy before it, that does not serve such requests: nothing has
// been started then. Docker's own 404 names what it lacks, as does Podman's.
func isDeclined(answer *dockerclient.Error) bool {
	switch answer.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	case http.StatusNotFound:
		return !strings.Contains(strings.ToLower(answer.Message), "no such")
	}
	return false
}

// isDeclinedRead reports whether err, of a request that starts nothing, means that no such requests are served: also
// where a proxy does not reach the daemon, where it speaks no common version of the API, or where it is not Docker's.
func isDeclinedRead(err error) bool {
	var known daemonError
	var answer *dockerclient.Error
	if errors.As(err, &answer) {
		switch answer.Status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return isDeclined(answer)
	}
	return errors.As(err, &known) || isBadJSON(err)
}

func isBadJSON(err error) bool {
	var syntax *json.SyntaxError
	var other *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &other)
}

// explain returns err in words for users, on one line and without addresses. A question that the caller ended returns
// why it was ended.
func explain(ctx context.Context, node Node, err error) error {
	var known daemonError
	var answer *dockerclient.Error
	var ready userError
	switch {
	case err == nil, errors.Is(err, ErrNoContainer):
		return err
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return context.Cause(ctx)
	case errors.As(err, &ready):
		return ready.error
	case errors.As(err, &known):
	case errors.As(err, &answer):
		text := firstLine(answer.Message)
		if text == "" || text[0] == '<' { // a proxy's page for browsers
			text = http.StatusText(answer.Status)
		}
		known = daemonError(strings.TrimSpace(fmt.Sprintf("answers %d %s", answer.Status, text)))
	case isBadJSON(err):
		known = errBadResponse
	case ctx.Err() != nil:
		return unreachable(node, errNoResponse)
	default:
		return unreachable(node, rootCause(err))
	}
	err = fmt.Errorf("the docker daemon of node %s %w", displayName(node.Name), known)
	if answer != nil && isDeclined(answer) {
		err = &wrappedKind{err, backends.ErrDeclined}
	}
	return err
}

func unreachable(node Node, why error) error {
	return fmt.Errorf("the docker daemon of node %s %w: %w", displayName(node.Name), ErrUnreachable, why)
}

var errNoResponse = errors.New("no answer in time")

// rootCause returns the innermost cause that says something, without the addresses that net puts around it.
func rootCause(err error) error {
	var dns *net.DNSError
	var name x509.HostnameError
	var slow net.Error
	var system *os.SyscallError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return errors.New("its name cannot be resolved")
	case errors.As(err, &dns):
		return errors.New("its name cannot be resolved now")
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

// displayName is a name from the cluster; one that is more than a line of printable text is quoted.
func displayName(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

// errorMessage returns the text of an error: JSON, or plain where the daemon did not understand the request at all.
func errorMessage(body []byte) string {
	var said struct{ Message string }
	if json.Unmarshal(body, &said) == nil && said.Message != "" {
		return said.Message
	}
	return string(body)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	const longest = 200
	if len(line) > longest {
		line = line[:longest] + "..."
	}
	return line
}

// isReset reports whether a connection was closed while something sent to it was not read yet, as the daemon does when
// a program ends without reading all of its input.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
