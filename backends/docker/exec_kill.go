package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nomadctld/backends"
)

var _ backends.Killer = (*Docker)(nil)

// killSteps are the signals that Kill sends, and their delays. Signal 0 only checks whether the program is running.
var killSteps = []struct {
	after  time.Duration
	signal string
}{
	{0, "HUP"},
	{time.Second, "0"},
	{3 * time.Second, "TERM"},
	{4 * time.Second, "0"},
	{6 * time.Second, "KILL"},
	{7 * time.Second, "KILL"},
	{8 * time.Second, "0"},
}

// Kill implements backends.Killer.
func (d *Docker) Kill(ctx context.Context, in backends.TaskRef, session string) (found bool, err error) {
	e := &execInstance{docker: d, ref: in, program: backends.Program{Session: session}}
	err = d.withClient(ctx, in.Node, func(ctx context.Context, api *apiClient) error {
		c, err := api.runningContainer(ctx, in)
		e.api, e.containerID = api, c.ID
		return err
	})
	if err != nil {
		return false, err
	}
	start := time.Now()
	for _, step := range killSteps {
		select {
		case <-time.After(time.Until(start.Add(step.after))):
		case <-ctx.Done():
			return found, context.Cause(ctx)
		}
		// As root: the container's user may not be allowed to signal the program.
		switch err := e.sendSignalAs(ctx, "0", step.signal); {
		case errors.Is(err, errNoProcess):
			return found, nil
		case errors.Is(err, errNoShell):
			err = fmt.Errorf("find programs of a session: not supported: %w", err)
			return found, &kindError{err, backends.ErrUnsupported}
		case err != nil:
			return found, explain(ctx, in.Node, err)
		}
		found = true
	}
	return found, errors.New("the program does not exit after SIGKILL")
}
