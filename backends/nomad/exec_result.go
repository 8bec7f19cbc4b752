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

// errNoShell is a task in which there is no /bin/sh; nothing has been run then.
var errNoShell = errors.New("the task has no /bin/sh")

// result says what has come of a program after Nomad ended its stream with this code or error.
func (r *programState) result(p backends.Program, out outputs, s *wrappedCommand, code int, err error) (int, error) {
	if s == nil {
		return directResult(p, out, code, err)
	}
	if !r.hasStarted() {
		junk := out.preamble()
		switch {
		case err != nil && isNoShell(err.Error()), isNoShell(string(junk)):
			return 0, errNoShell
		case err != nil:
			return 0, streamError(err, "begun")
		}
		return 0, fmt.Errorf("the task's shell has ended with %d before %s began: %s", code, p.Argv[0], firstLine(string(junk)))
	}
	switch r.startState {
	case 'N':
		return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrProgramNotFound)
	case 'X':
		return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrNotExecutable)
	case 'D':
		return 0, fmt.Errorf("the directory %s: no such directory, or not for the task's user", p.Dir)
	}
	select {
	case <-r.exited:
		return r.exitCode, nil
	default:
	}
	switch {
	case err != nil:
		return 0, streamError(err, "ended")
	case code > 128: // the shell itself was killed, with all of the task for one; else it ends with 0
		return code, nil
	}
	return 0, errors.New("it has ended, but the end of its output was lost in Nomad, and its exit code with it")
}

func directResult(p backends.Program, out outputs, code int, err error) (int, error) {
	if err != nil {
		out.direct.startError(0)
		switch text := err.Error(); {
		case isNotFound(text):
			return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrProgramNotFound)
		case strings.Contains(text, "failed to start command"):
			return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrNotExecutable)
		}
		return 0, streamError(err, "ended")
	}
	switch why := string(out.direct.startError(code)); {
	case why == "":
		return code, nil
	case isNotFound(why):
		return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrProgramNotFound)
	}
	return 0, fmt.Errorf("%s: %w", p.Argv[0], backends.ErrNotExecutable)
}

// isNoShell reports whether a driver says that there is no shell.
func isNoShell(text string) bool { return strings.Contains(text, "/bin/sh") && isNotFound(text) }

// isNotFound reports whether a driver says that there is no such program.
func isNotFound(text string) bool {
	return strings.Contains(text, "no such file or directory") || strings.Contains(text, "executable file not found")
}

// needsShell reports whether p wants what only the shell can give.
func needsShell(p backends.Program) bool { return len(p.Env) > 0 || p.Dir != "" }

// streamErrors are what Nomad says about streams, and what it means. The status is in the text only: a websocket is open by
// then, and errors that come from a node are 500 whatever they are.
var streamErrors = []struct {
	says, means string
	err         error
}{
	{"permission denied", "by Nomad: this needs the capability alloc-exec, and alloc-node-exec in raw_exec tasks", backends.ErrForbidden},
	{"acl token not found", "by Nomad: it is not known there", backends.ErrForbidden},
	{"acl token expired", "by Nomad: it has expired", backends.ErrForbidden},
	{"unknown allocation", "", backends.ErrNotFound},
	{"alloc not found", "", backends.ErrNotFound},
	{"alloc lookup failed", "", backends.ErrNotFound},
	{"task not found", "", backends.ErrTaskNotRunning},
	{"unknown task", "", backends.ErrTaskNotRunning},
	{"not started yet", "", backends.ErrTaskNotRunning},
	{"is not running", "", backends.ErrTaskNotRunning},
	{"no path to node", "from the allocation's node", backends.ErrUnreachable},
	{"node is down", "from the allocation's node", backends.ErrUnreachable},
}

// streamError returns in words for a user why a program has not begun, or why its end is not known.
func streamError(err error, what string) error {
	text := strings.ToLower(err.Error())
	for _, r := range streamErrors {
		switch {
		case !strings.Contains(text, r.says):
		case r.err == backends.ErrTaskNotRunning:
			return fmt.Errorf("the task %w", r.err)
		case r.means == "":
			return r.err
		default:
			return fmt.Errorf("%w %s", r.err, r.means)
		}
	}
	if hasResponse(err) {
		return explain(err)
	}
	var network net.Error
	switch {
	case errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%w in time", backends.ErrUnreachable)
	case what == "begun":
		return fmt.Errorf("%w: %s", backends.ErrUnreachable, withoutAddress(err))
	}
	return fmt.Errorf("%w any more: the connection to Nomad was lost, and how the program ended is not known (%s)", backends.ErrUnreachable, withoutAddress(err))
}

// withoutAddress is err without addresses.
func withoutAddress(err error) string {
	var system *os.SyscallError
	var request *url.Error
	switch {
	case errors.As(err, &system):
		return system.Err.Error()
	case errors.As(err, &request):
		return withoutAddress(request.Err)
	case strings.HasPrefix(err.Error(), "websocket: close"), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection was closed"
	}
	var dial *net.OpError
	if errors.As(err, &dial) {
		return dial.Err.Error()
	}
	return firstLine(err.Error())
}
