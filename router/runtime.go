package router

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"nomadctld/backends"
)

// Runtime reaches into the one task that it was made for.
type Runtime interface {
	// Inspect returns what the container runtime says of the task's container, in JSON, byte for byte.
	Inspect(ctx context.Context) (json.RawMessage, error)

	Exec(ctx context.Context, p backends.Program) (code int, err error)
	Attach(ctx context.Context, a backends.Attachment) (code int, err error)

	// Log is that of backends.Runtime. With q.Follow all viewers of the same share one stream. ErrLogDisabled: there is none.
	Log(ctx context.Context, q backends.LogQuery, each func(backends.Piece) error) error

	// PreviousLog is Log, but of what the task wrote before it was last restarted. backends.ErrOneLog: nobody can tell.
	PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.Piece) error) error
}

// Way is how tasks are reached.
type Way string

// The ways: Auto is Docker for tasks of the docker driver whose daemon answers, and Nomad for all others.
const (
	Auto       Way = "auto"
	WithDocker Way = "docker"
	WithNomad  Way = "nomad"
)

// Runtimes are the ways into the tasks of all tiers.
type Runtimes struct {
	Docker backends.Containers
	Nomad  map[string]backends.Runtime // by tier
	Way    Way

	viewers backends.Viewers

	mu     sync.Mutex
	silent map[string]time.Time // node ID to when its daemon did not answer
}

// of returns the runtime of a task, which has to be the user's.
func (r *Runtimes) of(s *scope, a backends.Allocation, task string) Runtime {
	return &taskRuntime{Runtimes: r, scope: s, place: backends.Place{Allocation: a, Task: task, Node: backends.Node{Name: a.Node}}}
}

// taskRuntime is the way into one task.
type taskRuntime struct {
	*Runtimes
	scope  *scope
	place  backends.Place
	detail *backends.AllocationDetail // nil until it is read
}

func (t *taskRuntime) Inspect(ctx context.Context) (json.RawMessage, error) {
	place, err := t.forDocker(ctx)
	if err != nil {
		return nil, err
	}
	return t.Docker.Inspect(ctx, place.Node, place.Task, place.Allocation.ID)
}

func (t *taskRuntime) Exec(ctx context.Context, p backends.Program) (int, error) {
	runtime, place, err := t.choose(ctx)
	if err != nil {
		return 0, err
	}
	return runtime.Exec(ctx, place, p)
}

func (t *taskRuntime) Attach(ctx context.Context, a backends.Attachment) (int, error) {
	runtime, place, err := t.choose(ctx)
	if err != nil {
		return 0, err
	}
	return runtime.Attach(ctx, place, a)
}

// Log takes Docker's log driver where it can be read, else Nomad's files, which outlive the container.
func (t *taskRuntime) Log(ctx context.Context, q backends.LogQuery, each func(backends.Piece) error) error {
	source, place, err := t.logSource(ctx)
	if err != nil {
		return err
	}
	if _, files := source.(backends.LogFiles); !q.Follow || files && q.OfContainers() {
		return source.Log(ctx, place, q, each)
	}
	return t.viewers.Follow(ctx, source, place, q, each)
}

// logSource returns where the log of the task is read: Docker's and Nomad's together if both can be used.
func (t *taskRuntime) logSource(ctx context.Context) (backends.LogSource, backends.Place, error) {
	if t.scope.owns(t.place.Allocation) {
		detail, err := t.scope.Allocation(ctx, t.place.Allocation)
		switch {
		case err != nil && t.Way != WithDocker:
			return nil, t.place, err
		case err == nil && slices.Contains(detail.Logless, t.place.Task):
			return nil, t.place, backends.ErrLogDisabled
		case err == nil:
			t.detail = &detail
		}
	}
	runtime, place, err := t.choose(ctx)
	if err != nil {
		return nil, place, err
	}
	if runtime != backends.Runtime(t.Docker) {
		return runtime, place, nil
	}
	files, _ := t.Nomad[place.Allocation.Tier].(backends.LogFiles)
	if t.Way == WithDocker {
		files = nil
	}
	return backends.JoinedLog{Container: t.Docker, Files: files}, place, nil
}

// PreviousLog implements Runtime.
func (t *taskRuntime) PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.Piece) error) error {
	source, place, err := t.logSource(ctx)
	if err != nil {
		return err
	}
	if joined, ok := source.(backends.JoinedLog); ok {
		return joined.Previous(ctx, place, q, each)
	}
	return backends.ErrOneLog
}

// choose returns the runtime that reaches the task.
func (t *taskRuntime) choose(ctx context.Context) (backends.Runtime, backends.Place, error) {
	nomad := t.Nomad[t.place.Allocation.Tier]
	if !t.scope.owns(t.place.Allocation) {
		return nil, t.place, errForeign
	}
	if t.Way != WithDocker {
		if t.detail == nil {
			detail, err := t.scope.Allocation(ctx, t.place.Allocation)
			if err != nil {
				return nil, t.place, err
			}
			t.detail = &detail
		}
		t.place.Driver = t.detail.Drivers[t.place.Task]
		if t.Way == WithNomad || t.place.Driver != "docker" || t.isSilent() {
			return nomad, t.place, nil
		}
	}
	place, err := t.forDocker(ctx)
	if err != nil {
		return nil, place, err
	}
	if t.Way == Auto {
		// Whether it answers has to be known before anything is begun that cannot be begun twice.
		_, err := t.Docker.Inspect(ctx, place.Node, place.Task, place.Allocation.ID)
		if errors.Is(err, backends.ErrUnreachable) && ctx.Err() == nil {
			t.fellSilent()
			return nomad, place, nil
		}
	}
	return t.Docker, place, nil
}

// forDocker returns the place with what Docker needs to reach it.
func (t *taskRuntime) forDocker(ctx context.Context) (backends.Place, error) {
	if !t.scope.owns(t.place.Allocation) {
		return t.place, errForeign
	}
	place := t.place
	if t.Docker.NeedsAddress() {
		address, err := t.scope.NodeAddress(ctx, place.Allocation)
		if err != nil {
			return place, err
		}
		place.Node.Address = address
	}
	return place, nil
}

// silence is how long a daemon that did not answer is not asked: waiting for one behind a firewall takes seconds.
const silence = 30 * time.Second

func (t *taskRuntime) isSilent() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.silent[t.place.Allocation.NodeID]) < silence
}

func (t *taskRuntime) fellSilent() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.silent == nil {
		t.silent = map[string]time.Time{}
	}
	for node, since := range t.silent {
		if time.Since(since) > silence {
			delete(t.silent, node)
		}
	}
	t.silent[t.place.Allocation.NodeID] = time.Now()
}
