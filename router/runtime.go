package router

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

	// Log is that of backends.Runtime. With q.Follow all viewers of the same share one stream.
	Log(ctx context.Context, q backends.LogQuery, each func(backends.Piece) error) error
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
	scope *scope
	place backends.Place
}

func (t *taskRuntime) Inspect(ctx context.Context) (json.RawMessage, error) {
	place, err := t.forDocker(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := t.Docker.Inspect(ctx, place.Node, place.Task, place.Allocation.ID)
	return raw, t.withState(err)
}

func (t *taskRuntime) Exec(ctx context.Context, p backends.Program) (int, error) {
	runtime, place, err := t.choose(ctx)
	if err != nil {
		return 0, err
	}
	code, err := runtime.Exec(ctx, place, p)
	return code, t.withState(err)
}

func (t *taskRuntime) Attach(ctx context.Context, a backends.Attachment) (int, error) {
	runtime, place, err := t.choose(ctx)
	if err != nil {
		return 0, err
	}
	code, err := runtime.Attach(ctx, place, a)
	return code, t.withState(err)
}

// withState returns err with why a task cannot be reached, where the state of its allocation tells.
func (t *taskRuntime) withState(err error) error {
	if !errors.Is(err, backends.ErrUnreachable) {
		return err
	}
	node := cmp.Or(t.place.Allocation.Node, "its node")
	switch t.place.Allocation.Status {
	case "unknown":
		return fmt.Errorf("%w: %s is disconnected from Nomad, and the task may still be running there", err, node)
	case "lost":
		return fmt.Errorf("%w: the allocation was lost with %s", err, node)
	}
	return err
}

// Log takes Docker's log driver where it can be read, else Nomad's files, which outlive the container.
func (t *taskRuntime) Log(ctx context.Context, q backends.LogQuery, each func(backends.Piece) error) error {
	runtime, place, err := t.choose(ctx)
	if err != nil {
		return err
	}
	begun := false
	err = t.log(ctx, runtime, place, q, func(p backends.Piece) error {
		begun = true
		return each(p)
	})
	if !begun && errors.Is(err, backends.ErrNoLog) && runtime == backends.Runtime(t.Docker) && t.Way != WithDocker {
		inFiles := t.log(ctx, t.Nomad[place.Allocation.Tier], place, q, each)
		if q.Follow && errors.Is(inFiles, backends.ErrNoTimes) {
			return err // there will be a container
		}
		return t.withState(inFiles)
	}
	return t.withState(err)
}

func (t *taskRuntime) log(ctx context.Context, runtime backends.Runtime, place backends.Place, q backends.LogQuery, each func(backends.Piece) error) error {
	if !q.Follow || runtime != backends.Runtime(t.Docker) && q.OfContainers() {
		return runtime.Log(ctx, place, q, each)
	}
	return t.viewers.Follow(ctx, runtime, place, q, each)
}

// choose returns the runtime that reaches the task.
func (t *taskRuntime) choose(ctx context.Context) (backends.Runtime, backends.Place, error) {
	nomad := t.Nomad[t.place.Allocation.Tier]
	if !t.scope.owns(t.place.Allocation) {
		return nil, t.place, errForeign
	}
	if t.Way != WithDocker {
		detail, err := t.scope.Allocation(ctx, t.place.Allocation)
		if err != nil {
			return nil, t.place, err
		}
		t.place.Driver = detail.Drivers[t.place.Task]
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
