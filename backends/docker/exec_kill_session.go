package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nomadctld/backends"
)

var _ backends.Killer = (*Docker)(nil)

// killSteps are the signals that Kill sends, and when. Signal 0 reaches nobody: it asks whether the program is still there.
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
	err = d.withClient(ctx, in.Node, func(ctx context.Context, s *apiClient) error {
		at, err := s.runningContainer(ctx, in)
		e.api, e.containerID = s, at.ID
		return err
	})
	if err != nil {
		return false, err
	}
	begin := time.Now()
	for _, step := range killSteps {
		select {
		case <-time.After(time.Until(begin.Add(step.after))):
		case <-ctx.Done():
			return found, context.Cause(ctx)
		}
		switch err := e.sendSignalAs(ctx, "0", step.signal); { // as root, which the user of a container may be in any case
		case errors.Is(err, errNoProcess):
			return found, nil
		case errors.Is(err, errNoShell):
			return found, fmt.Errorf("finding a program %w: %w", backends.ErrUnsupported, err)
		case err != nil:
			return found, explain(ctx, in.Node, err)
		}
		found = true
	}
	return found, errors.New("the program does not exit after KILL")
}
