package nomad

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"nomadctld/backends"
)

// findScript prints the process IDs of the wrappers that run the programs of a session: of the part that has the program, a dot,
// and of the wrapper itself. A wrapper has NOMADCTLD_SESSION in its parameters, and its parent does not. If its input comes
// in frames it has two parts, and the later one has the program. Parameter: the session.
//
//go:embed exec_find.sh
var findScript string

var _ backends.Killer = (*Client)(nil)

// Kill implements backends.Killer. A program that runs without a shell has no NOMADCTLD_SESSION: it is not found.
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
type wrapperIDs struct{ programPID, shellPID string }

// findWrappers returns the wrappers that run the programs of a session.
func (c *Client) findWrappers(ctx context.Context, in backends.TaskRef, session string) (all []wrapperIDs, err error) {
	ctx, cancel := context.WithTimeout(ctx, userSignalTimeout)
	defer cancel()
	leave, err := c.conns.signalSlots.Acquire(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer leave()
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
		return nil, fmt.Errorf("finding a program %w: the task's processes cannot be seen", backends.ErrUnsupported)
	}
	for _, ids := range text[1:] {
		program, shell, _ := strings.Cut(ids, ".")
		_, err1 := strconv.Atoi(program)
		_, err2 := strconv.Atoi(shell)
		if err1 != nil || err2 != nil {
			return nil, errors.New("the task's processes cannot be seen")
		}
		all = append(all, wrapperIDs{program, shell})
	}
	return all, nil
}

// findError returns why the wrappers cannot be found. Some drivers report a missing shell as an error of the stream.
func findError(err error) error {
	if isNoShell(strings.ToLower(err.Error())) {
		return fmt.Errorf("finding a program %w: %w", backends.ErrUnsupported, errNoShell)
	}
	return streamError(err, "begun")
}

// killWrapper ends a program, and the wrapper that runs it.
func (c *Client) killWrapper(ctx context.Context, in backends.TaskRef, w wrapperIDs, session string) (found bool, err error) {
	// The wrapper is killed last. It may wait for input that never ends.
	defer func() {
		if err == nil {
			_, err = c.signal(ctx, in, "KILL", w.shellPID, session, "shell", stepTimeout)
		}
	}()
	const look = "0" // signals nobody
	begin := time.Now()
	for _, step := range []struct {
		name  string
		after time.Duration
	}{{"HUP", 0}, {look, time.Second}, {"TERM", termDelay}, {look, termDelay + time.Second}, {"KILL", killDelay}, {"KILL", killDelay + time.Second}, {look, killDelay + 2*time.Second}} {
		select {
		case <-time.After(time.Until(begin.Add(step.after))):
		case <-ctx.Done():
			return found, context.Cause(ctx)
		}
		n, err := c.signal(ctx, in, step.name, w.programPID, session, "", userSignalTimeout)
		if err != nil {
			return found, err
		}
		if n == 0 {
			return found, nil
		}
		found = true
	}
	return found, errors.New("the program does not exit after KILL")
}
