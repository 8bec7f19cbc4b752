package docker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"nomadctld/backends"
)

// container is the part of a container's JSON that matters for exec, attach and logs.
type container struct {
	ID    string
	State struct {
		Running, Paused, Restarting bool
		StartedAt                   time.Time // zero: never started
		ExitCode                    int
	}
	Config struct {
		Tty, OpenStdin, StdinOnce bool
		Env                       []string
	}
	HostConfig struct {
		LogConfig struct {
			Type   string
			Config map[string]string
		}
	}
}

// newestContainer returns the newest container of a task, running or not.
func (s *apiClient) newestContainer(ctx context.Context, in backends.TaskRef) (c container, err error) {
	found, err := s.containerJSON(ctx, in.Task, in.Allocation.ID)
	if err != nil {
		return c, err
	}
	return parseContainer(found)
}

// runningContainer returns the container of a task, or an error if programs cannot run in it.
func (s *apiClient) runningContainer(ctx context.Context, in backends.TaskRef) (container, error) {
	c, err := s.newestContainer(ctx, in)
	switch {
	case errors.Is(err, ErrNoContainer):
		return c, &wrappedKind{err, backends.ErrTaskNotRunning}
	case err != nil:
		return c, err
	case !c.State.Running || c.State.Restarting:
		return c, errNotRunning(in.Task)
	case c.State.Paused:
		return c, errPaused(in.Task)
	}
	return c, nil
}

func parseContainer(container []byte) (c container, err error) {
	err = json.Unmarshal(container, &c)
	return c, err
}
