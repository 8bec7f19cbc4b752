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
	"nomadctld/internal/procscript"
	"nomadctld/internal/signals"
)

//go:embed exec_signal.sh
var signalText string

// signalScript sends a signal to the processes of a program and prints how many there are and how many it could not
// signal. The processes are the wrapper's children, even if they have left its POSIX session or changed their
// environment, and the processes of that POSIX session with the program's NOMADCTLD_SESSION. The children come first,
// because a scan of all processes of a busy node takes time. If /proc cannot be read, the script prints "none".
//
// A task may see the processes of the whole node, and a process ID may have been reused, so the script also checks the
// wrapper's parameters.
//
// Parameters: the signal, or 0; the process ID of the wrapper process whose child is the program; the session; if not
// empty, signal the wrapper and its stdin reader instead of the program.
var signalScript = procscript.With(signalText)

const (
	stepTimeout        = 5 * time.Second  // for one signal while a program is being killed
	userSignalTimeout  = 10 * time.Second // for a signal of a user, and to kill orphans; a scan takes time
	userSignalAttempts = 3
	afterKillTimeout   = 3500 * time.Millisecond // for the program to exit
)

// signal sends a signal to a running program and returns the number of its processes. shellOnly is the script's last
// parameter.
func (c *Client) signal(
	ctx context.Context, in backends.TaskRef, name, pid, session, shellOnly string, timeout time.Duration,
) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if !signals.FromClient(name) && name != "0" {
		return 0, fmt.Errorf("not a signal: %q", name)
	}
	release, err := c.conns.signalSlots.Acquire(ctx, 1)
	if err != nil {
		return 0, err
	}
	defer release()
	var out limitedBuffer
	code, err := c.execWebsocket(ctx, in, execRequest{
		command: []string{"/bin/sh", "-c", signalScript, "sh", name, pid, session, shellOnly},
		stdin:   bytes.NewReader(nil), stdout: &out, stderr: &limitedBuffer{},
	})
	if err != nil {
		return 0, streamError(err, false)
	}
	found, failed, ok := strings.Cut(strings.TrimSpace(out.String()), " ")
	n, e1 := strconv.Atoi(found)
	missed, e2 := strconv.Atoi(failed)
	switch {
	case !ok || e1 != nil || e2 != nil || code != 0:
		return 0, errors.New("cannot list the task's processes")
	case missed > 0 && missed == n && name != "0":
		return n, errors.New("the task's user may not signal the program")
	}
	return n, nil
}

// limitedBuffer stores the first maxPreamble bytes of a script's output.
type limitedBuffer struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p[:min(len(p), maxPreamble-len(b.text))]...)
	return len(p), nil
}

func (b *limitedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}
