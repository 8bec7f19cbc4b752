package docker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"nomadctld/backends"
)

// described is what the JSON of a container says that matters for running programs in it and for its streams.
type described struct {
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

// describe returns the newest container of a task, running or not.
func (s *speaker) describe(ctx context.Context, in backends.TaskRef) (is described, err error) {
	found, err := s.container(ctx, in.Task, in.Allocation.ID)
	if err != nil {
		return is, err
	}
	return parse(found)
}

// running returns the container of a task if programs can be run in it.
func (s *speaker) running(ctx context.Context, in backends.TaskRef) (described, error) {
	is, err := s.describe(ctx, in)
	switch {
	case errors.Is(err, ErrNoContainer):
		return is, &kind{err, backends.ErrTaskNotRunning}
	case err != nil:
		return is, err
	case !is.State.Running || is.State.Restarting:
		return is, sayf("the container of task %s %w", shown(in.Task), backends.ErrTaskNotRunning)
	case is.State.Paused:
		return is, errPaused(in.Task)
	}
	return is, nil
}

func parse(container []byte) (is described, err error) {
	err = json.Unmarshal(container, &is)
	return is, err
}
