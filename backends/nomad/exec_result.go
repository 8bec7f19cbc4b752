package nomad

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"

	"nomadctld/backends"
)

// errNoShell reports a task without /bin/sh. Nothing has run.
var errNoShell = errors.New("the task has no /bin/sh")

// result returns the result of a program after Nomad has finished the websocket with this code or error.
func (r *programState) result(p backends.Program, out outputs, w *wrappedCommand, code int, err error) (int, error) {
	if w == nil {
		return directResult(p, out, code, err)
	}
	if !r.hasStarted() {
		preamble := out.preamble()
		switch {
		case err != nil && isShellMissing(err.Error()), isShellMissing(string(preamble)):
			return 0, errNoShell
		case err != nil:
			return 0, streamError(err, false)
		}
		return 0, fmt.Errorf("the task's shell exited with code %d before it started %s: %s",
			code, p.Argv[0], firstLine(string(preamble)))
	}
	switch r.startState {
	case 'N':
		return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrProgramNotFound)
	case 'X':
		return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrNotExecutable)
	case 'D':
		return 0, fmt.Errorf("directory %s: it does not exist or the task's user may not enter it", p.Dir)
	}
	select {
	case <-r.exited:
		return r.exitCode, nil
	default:
	}
	switch {
	case err != nil:
		return 0, streamError(err, true)
	case code > 128: // the shell itself was killed, for example with the whole task; otherwise it exits with 0
		return code, nil
	}
	return 0, errors.New("the program exited, but Nomad lost the end of its output; exit code unknown")
}

// directResult is like result, for a program that ran without the wrapper.
func directResult(p backends.Program, out outputs, code int, err error) (int, error) {
	if err != nil {
		out.direct.finish(0)
		switch text := err.Error(); {
		case isNotFound(text):
			return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrProgramNotFound)
		case strings.Contains(text, "failed to start command"):
			return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrNotExecutable)
		}
		return 0, streamError(err, true)
	}
	switch why := string(out.direct.finish(code)); {
	case why == "":
		return code, nil
	case isNotFound(why):
		return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrProgramNotFound)
	}
	return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrNotExecutable)
}

// isShellMissing reports whether a driver's message means that /bin/sh does not exist.
func isShellMissing(text string) bool { return strings.Contains(text, "/bin/sh") && isNotFound(text) }

// isNotFound reports whether a driver's message means that the program does not exist.
func isNotFound(text string) bool {
	return strings.Contains(text, "no such file or directory") || strings.Contains(text, "executable file not found")
}

// needsShell reports whether p needs a feature that only the wrapper implements.
func needsShell(p backends.Program) bool { return len(p.Env) > 0 || p.Dir != "" }

// streamErrors maps parts of Nomad's messages about streams to errors for users. Only the text distinguishes them: the
// websocket is already open, and all errors of a node have the status 500.
var streamErrors = []struct {
	part string
	err  error
}{
	{"permission denied", fmt.Errorf("%w: it lacks the capability alloc-exec or, for raw_exec tasks, alloc-node-exec",
		backends.ErrForbidden)},
	{"acl token not found", fmt.Errorf("%w: it is unknown", backends.ErrForbidden)},
	{"acl token expired", fmt.Errorf("%w: it has expired", backends.ErrForbidden)},
	{"unknown allocation", errAllocationNotFound},
	{"alloc not found", errAllocationNotFound},
	{"alloc lookup failed", errAllocationNotFound},
	{"task not found", backends.ErrTaskNotRunning},
	{"unknown task", backends.ErrTaskNotRunning},
	{"not started yet", backends.ErrTaskNotRunning},
	{"is not running", backends.ErrTaskNotRunning},
	{"no path to node", errNodeUnreachable},
	{"node is down", errNodeUnreachable},
}

var (
	errAllocationNotFound = fmt.Errorf("allocation %w", backends.ErrNotFound)
	errNodeUnreachable    = fmt.Errorf("the allocation's node: %w", backends.ErrUnreachable)
)

// streamError explains to a user why a program could not start or, if started is set, why its exit code is unknown.
func streamError(err error, started bool) error {
	text := strings.ToLower(err.Error())
	for _, r := range streamErrors {
		if strings.Contains(text, r.part) {
			return r.err
		}
	}
	if hasAllocationResponse(err) {
		return explain(err)
	}
	var network net.Error
	switch {
	case errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%w: timed out", backends.ErrUnreachable)
	case !started:
		return fmt.Errorf("%w: %s", backends.ErrUnreachable, withoutAddress(err))
	}
	return fmt.Errorf("%w: lost the connection to Nomad; the program's exit code is unknown (%s)",
		backends.ErrUnreachable, withoutAddress(err))
}

// withoutAddress returns the text of err without network addresses, for users.
func withoutAddress(err error) string {
	var system *os.SyscallError
	var request *url.Error
	switch {
	case errors.As(err, &system):
		return system.Err.Error()
	case errors.As(err, &request):
		return withoutAddress(request.Err)
	case strings.HasPrefix(err.Error(), "websocket: close"), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection was closed"
	}
	var dial *net.OpError
	if errors.As(err, &dial) {
		return dial.Err.Error()
	}
	return firstLine(err.Error())
}
