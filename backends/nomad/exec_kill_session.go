package nomad

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/procscript"
	"nomadctld/internal/terminate"
)

//go:embed exec_find.sh
var findText string

// findScript finds the wrappers with NOMADCTLD_SESSION=session in their parameters. It prints "found" and, for each,
// two process IDs with a dot between them: the process whose child is the program, and the first process. They differ
// if the input is framed: then the wrapper has two child processes, and the later one runs the program. If /proc
// cannot be read, it prints "none". Parameter: the session.
var findScript = procscript.With(findText)

var _ backends.Killer = (*Client)(nil)

// Kill implements backends.Killer. It cannot find a program that runs without the wrapper.
func (c *Client) Kill(ctx context.Context, in backends.TaskRef, session string) (found bool, err error) {
	wrappers, err := c.findWrappers(ctx, in, session)
	if err != nil {
		return false, err
	}
	for _, w := range wrappers {
		killed, err := c.killWrapper(ctx, in, w, session)
		found = found || killed
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// wrapperIDs are the process IDs of a wrapper.
type wrapperIDs struct{ parentPID, shellPID string }

// findWrappers returns the wrappers of a session.
func (c *Client) findWrappers(ctx context.Context, in backends.TaskRef, session string) (all []wrapperIDs, err error) {
	ctx, cancel := context.WithTimeout(ctx, userSignalTimeout)
	defer cancel()
	release, err := c.conns.signalSlots.Acquire(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer release()
	var out limitedBuffer
	code, err := c.execWebsocket(ctx, in, execRequest{
		command: []string{"/bin/sh", "-c", findScript, "sh", session},
		stdin:   bytes.NewReader(nil), stdout: &out, stderr: &limitedBuffer{},
	})
	if err != nil {
		return nil, findError(err)
	}
	text := strings.Fields(out.String())
	if code != 0 || len(text) == 0 || text[0] != "found" {
		return nil, fmt.Errorf("find the program: %w: cannot list the task's processes", backends.ErrUnsupported)
	}
	for _, ids := range text[1:] {
		program, shell, _ := strings.Cut(ids, ".")
		_, err1 := strconv.Atoi(program)
		_, err2 := strconv.Atoi(shell)
		if err1 != nil || err2 != nil {
			return nil, errors.New("cannot list the task's processes")
		}
		all = append(all, wrapperIDs{program, shell})
	}
	return all, nil
}

// findError returns why the wrappers cannot be found. Some drivers report a missing shell as an error of the stream.
func findError(err error) error {
	if isShellMissing(strings.ToLower(err.Error())) {
		return fmt.Errorf("find the program: %w: %w", backends.ErrUnsupported, errNoShell)
	}
	return streamError(err, false)
}

// killWrapper kills a program and its wrapper. It returns false if the program was not running.
func (c *Client) killWrapper(
	ctx context.Context, in backends.TaskRef, w wrapperIDs, session string,
) (found bool, err error) {
	// The wrapper comes last: it may be waiting for input.
	defer func() {
		if err == nil {
			_, err = c.signal(ctx, in, "KILL", w.shellPID, session, "shell", stepTimeout)
		}
	}()
	err = c.termination.Run(ctx, func(signal string) (exited bool, err error) {
		n, err := c.signal(ctx, in, signal, w.parentPID, session, "", userSignalTimeout)
		found = found || err == nil && n > 0
		return err == nil && n == 0, err
	})
	if errors.Is(err, terminate.ErrStillRunning) {
		err = errors.New("the program did not exit after KILL")
	}
	return found, err
}
