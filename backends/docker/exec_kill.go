package docker

import (
	"context"
	"errors"
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/terminate"
)

var _ backends.Killer = (*Docker)(nil)

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
	err = d.termination.Run(ctx, func(signal string) (exited bool, err error) {
		// As root: the container's user may not be allowed to signal the program.
		switch err := e.sendSignalAs(ctx, "0", signal); {
		case errors.Is(err, errNoProcess):
			return true, nil
		case errors.Is(err, errNoShell):
			err = fmt.Errorf("find programs of a session: not supported: %w", err)
			return false, &kindError{err, backends.ErrUnsupported}
		case err != nil:
			return false, explain(ctx, in.Node, err)
		}
		found = true
		return false, nil
	})
	if errors.Is(err, terminate.ErrStillRunning) {
		err = errors.New("the program does not exit after SIGKILL")
	}
	return found, err
}
