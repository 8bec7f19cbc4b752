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
func (c *apiClient) newestContainer(ctx context.Context, in backends.TaskRef) (found container, err error) {
	body, err := c.containerJSON(ctx, in.Task, in.Allocation.ID)
	if err != nil {
		return found, err
	}
	return parseContainer(body)
}

// runningContainer returns the container of a task, or an error if programs cannot run in it.
func (c *apiClient) runningContainer(ctx context.Context, in backends.TaskRef) (container, error) {
	found, err := c.newestContainer(ctx, in)
	switch {
	case errors.Is(err, ErrNoContainer):
		return found, &kindError{err, backends.ErrTaskNotRunning}
	case err != nil:
		return found, err
	case !found.State.Running || found.State.Restarting:
		return found, errNotRunning(in.Task)
	case found.State.Paused:
		return found, errPaused(in.Task)
	}
	return found, nil
}

// parseContainer parses the JSON of a container.
func parseContainer(container []byte) (found container, err error) {
	err = json.Unmarshal(container, &found)
	return found, err
}
