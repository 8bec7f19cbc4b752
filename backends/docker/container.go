package docker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"nomadctld/backends"
)

// container is what the JSON of a container says that matters for running programs in it and for its streams.
type container struct {
	ID    string
	State struct {
		Running, Paused, Restarting bool
		StartedAt                   time.Time // zero: never
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
func (s *apiClient) newestContainer(ctx context.Context, in backends.TaskRef) (is container, err error) {
	found, err := s.containerJSON(ctx, in.Task, in.Allocation.ID)
	if err != nil {
		return is, err
	}
	return parseContainer(found)
}

// runningContainer returns the container of a task if programs can be run in it.
func (s *apiClient) runningContainer(ctx context.Context, in backends.TaskRef) (container, error) {
	is, err := s.newestContainer(ctx, in)
	switch {
	case errors.Is(err, ErrNoContainer):
		return is, &wrappedKind{err, backends.ErrTaskNotRunning}
	case err != nil:
		return is, err
	case !is.State.Running || is.State.Restarting:
		return is, userErrorf("the container of task %s %w", displayName(in.Task), backends.ErrTaskNotRunning)
	case is.State.Paused:
		return is, errPaused(in.Task)
	}
	return is, nil
}

func parseContainer(container []byte) (is container, err error) {
	err = json.Unmarshal(container, &is)
	return is, err
}
