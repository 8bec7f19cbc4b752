package nomad

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"nomadctld/backends"
)

// signalScript sends a signal to the processes of a program: those that the wrapper itself has begun, whatever they made of their
// session and environment, and those in the wrapper's session that have the gateway's variable in their environment. It
// says how many they are and how many could not be signalled. A task may see the processes of its whole node, and a
// process ID may be somebody else's by now, so the wrapper is known by its parameters. The wrapper's own children come
// first, because looking through all processes of a busy node takes its time.
//
// Parameters: the signal, or 0; the process ID of the wrapper, or of the part of it that has the program; the session; if
// not empty, the signal is for the wrapper and what it reads the input with, and not for the program.
//
//go:embed exec_signal.sh
var signalScript string

const (
	stepTimeout        = 2500 * time.Millisecond // of one of several on the way to the end
	userSignalTimeout  = 10 * time.Second        // of one that a user sends, to look through a busy node's processes
	userSignalAttempts = 3
	termDelay          = 3 * time.Second
	killDelay          = 6 * time.Second
	terminateTimeout   = 9500 * time.Millisecond
)

// signal sends a signal to a running program and returns how many processes it has.
func (c *Client) signal(ctx context.Context, in backends.TaskRef, name, pid, session, only string, within time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if !isEnvName(name) && name != "0" {
		return 0, fmt.Errorf("%q is no signal", name)
	}
	leave, err := c.conns.signalSlots.Acquire(ctx, 1)
	if err != nil {
		return 0, err
	}
	defer leave()
	var out limitedBuffer
	code, err := c.execWebsocket(ctx, in, execRequest{
		command: []string{"/bin/sh", "-c", signalScript, "sh", name, pid, session, only},
		stdin:   bytes.NewReader(nil), stdout: &out, stderr: &limitedBuffer{},
	})
	if err != nil {
		return 0, streamError(err, "begun")
	}
	found, failed, ok := strings.Cut(strings.TrimSpace(out.String()), " ")
	n, e1 := strconv.Atoi(found)
	missed, e2 := strconv.Atoi(failed)
	switch {
	case !ok || e1 != nil || e2 != nil || code != 0:
		return 0, errors.New("the task's processes cannot be seen")
	case missed > 0 && missed == n && name != "0":
		return n, errors.New("the task's user may not signal it")
	}
	return n, nil
}

// limitedBuffer keeps the beginning of what a script says.
type limitedBuffer struct {
	mu   sync.Mutex
	text []byte
}

func (a *limitedBuffer) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.text = append(a.text, b[:min(len(b), maxPreamble-len(a.text))]...)
	return len(b), nil
}

func (a *limitedBuffer) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return string(a.text)
}
