package router

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// Runtime reaches into the one task that it was made for.
type Runtime interface {
	// Inspect returns what the container runtime says of the task's container, in JSON, byte for byte.
	Inspect(ctx context.Context) (json.RawMessage, error)

	Exec(ctx context.Context, p backends.Program) (code int, err error)
	Attach(ctx context.Context, a backends.Attachment) (code int, err error)

	// Log is that of backends.Runtime. With q.Follow all viewers of the same share one stream. ErrLogDisabled: there is none.
	Log(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error

	// PreviousLog is Log, but of what the task wrote before it was last restarted. backends.ErrRunsNotSeparable: nobody can tell.
	PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error
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
	Docker backends.ContainerRuntime
	Nomad  map[string]backends.Runtime // by tier
	Way    Way
	Refuse []string // drivers, in whose tasks no program is run and to which nobody attaches

	// What each user may have at a time on one cluster, which Cluster returns for a tier; nil: any number, and a tier is one.
	Programs, Logs *backends.Quota
	Cluster        func(tier string) string

	viewers backends.LogFanout

	mu     sync.Mutex
	silent map[string]silent // by node ID
}

// of returns the runtime of a task, which has to be the user's.
func (r *Runtimes) of(s *scope, a backends.Allocation, task string) Runtime {
	return &taskRuntime{Runtimes: r, scope: s, place: backends.TaskRef{Allocation: a, Task: task, Node: backends.Node{Name: a.Node}}}
}

// taskRuntime is the way into one task.
type taskRuntime struct {
	*Runtimes
	scope  *scope
	place  backends.TaskRef
	detail *backends.AllocationDetail // nil until it is read
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
	return t.enter(ctx, func(runtime backends.Runtime, place backends.TaskRef) (int, error) {
		return runtime.Exec(ctx, place, p)
	})
}

func (t *taskRuntime) Attach(ctx context.Context, a backends.Attachment) (int, error) {
	return t.enter(ctx, func(runtime backends.Runtime, place backends.TaskRef) (int, error) {
		return runtime.Attach(ctx, place, a)
	})
}

// enter calls f with the runtime that reaches the task, and with Nomad once Docker has declined.
func (t *taskRuntime) enter(ctx context.Context, f func(backends.Runtime, backends.TaskRef) (int, error)) (int, error) {
	if err := t.admit(ctx); err != nil {
		return 0, err
	}
	leave, err := t.Programs.Acquire(ctx, t.cluster())
	if err != nil {
		return 0, err
	}
	defer leave()
	r, err := t.choose(ctx)
	if err != nil {
		return 0, err
	}
	code, err := f(r.runtime, r.place)
	if t.declined(ctx, r, err) {
		r.runtime, r.without = t.Nomad[r.place.Allocation.Tier], err
		code, err = f(r.runtime, r.place)
	}
	if r.without != nil && (errors.Is(err, backends.ErrUnsupported) || errors.Is(err, backends.ErrForbidden)) {
		err = fmt.Errorf("%w (%w)", err, r.without)
	}
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

// admit refuses to let a program run in a task whose driver the configuration excludes.
func (t *taskRuntime) admit(ctx context.Context) error {
	if len(t.Refuse) == 0 {
		return nil
	}
	if !t.scope.owns(t.place.Allocation) {
		return errForeign
	}
	detail, err := t.scope.Allocation(ctx, t.place.Allocation)
	if err != nil {
		return err
	}
	driver := detail.Drivers[t.place.Task]
	if driver != "" && !slices.Contains(t.Refuse, driver) {
		return nil
	}
	t.scope.event.Decision = audit.Denied
	if driver == "" {
		return fmt.Errorf("the driver of task %s of %s is not known, and this gateway refuses exec and attach for some drivers", t.place.Task, t.place.Allocation.Name)
	}
	return fmt.Errorf("task %s of %s uses the driver %s, for which this gateway refuses exec and attach (its setting docker.refuse)", t.place.Task, t.place.Allocation.Name, driver)
}

// declined reports whether Docker has declined what Nomad may do.
func (t *taskRuntime) declined(ctx context.Context, r taskRoute, err error) bool {
	return t.Way == Auto && r.runtime == backends.Runtime(t.Docker) && errors.Is(err, backends.ErrDeclined) && ctx.Err() == nil
}

// Log takes Docker's log driver where it can be read, else Nomad's files, which outlive the container.
func (t *taskRuntime) Log(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
	return t.readLog(ctx, func(source backends.LogSource, place backends.TaskRef) error {
		if _, files := source.(backends.LogFiles); !q.Follow || files && q.NeedsContainer() {
			return source.Log(ctx, place, q, each)
		}
		return t.viewers.Follow(ctx, source, place, q, each)
	})
}

// readLog calls read with the source of the task's log, while it holds one of the user's slots for logs.
func (t *taskRuntime) readLog(ctx context.Context, read func(backends.LogSource, backends.TaskRef) error) error {
	leave, err := t.Logs.Acquire(ctx, t.cluster())
	if err != nil {
		return err
	}
	defer leave()
	source, place, err := t.logSource(ctx)
	if err != nil {
		return err
	}
	return t.withState(read(source, place))
}

// logSource returns where the log of the task is read: Docker's and Nomad's together if both can be used.
func (t *taskRuntime) logSource(ctx context.Context) (backends.LogSource, backends.TaskRef, error) {
	if t.scope.owns(t.place.Allocation) {
		detail, err := t.scope.Allocation(ctx, t.place.Allocation)
		switch {
		case err != nil && t.Way != WithDocker:
			return nil, t.place, err
		case err == nil && slices.Contains(detail.LogsDisabled, t.place.Task):
			return nil, t.place, backends.ErrLogDisabled
		case err == nil:
			t.detail = &detail
		}
	}
	r, err := t.choose(ctx)
	if err != nil {
		return nil, r.place, err
	}
	if r.runtime != backends.Runtime(t.Docker) {
		return r.runtime, r.place, nil
	}
	files, _ := t.Nomad[r.place.Allocation.Tier].(backends.LogFiles)
	if t.Way == WithDocker {
		files = nil
	}
	return backends.JoinedLog{Container: t.Docker, Files: files}, r.place, nil
}

// PreviousLog implements Runtime.
func (t *taskRuntime) PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
	return t.readLog(ctx, func(source backends.LogSource, place backends.TaskRef) error {
		if joined, ok := source.(backends.JoinedLog); ok {
			return joined.Previous(ctx, place, q, each)
		}
		return backends.ErrRunsNotSeparable
	})
}

func (t *taskRuntime) cluster() string {
	if t.Cluster == nil {
		return t.place.Allocation.Tier
	}
	return t.Cluster(t.place.Allocation.Tier)
}

// taskRoute is how a task is reached.
type taskRoute struct {
	runtime backends.Runtime
	place   backends.TaskRef
	without error // why it is not Docker, which would have been first; nil: it is, or would not
}

// choose returns the route to the task.
func (t *taskRuntime) choose(ctx context.Context) (r taskRoute, err error) {
	nomad := t.Nomad[t.place.Allocation.Tier]
	if !t.scope.owns(t.place.Allocation) {
		return r, errForeign
	}
	if t.Way != WithDocker {
		if t.detail == nil {
			detail, err := t.scope.Allocation(ctx, t.place.Allocation)
			if err != nil {
				return r, err
			}
			t.detail = &detail
		}
		t.place.Driver = t.detail.Drivers[t.place.Task]
		if t.Way == WithNomad || t.place.Driver != "docker" {
			return taskRoute{runtime: nomad, place: t.place}, nil
		}
		if err := t.isSilent(); err != nil {
			return taskRoute{nomad, t.place, err}, nil
		}
	}
	place, err := t.forDocker(ctx)
	if err != nil {
		return r, err
	}
	if t.Way == Auto {
		// Whether it answers has to be known before anything is begun that cannot be begun twice.
		_, err := t.Docker.Inspect(ctx, place.Node, place.Task, place.Allocation.ID)
		unreachable := errors.Is(err, backends.ErrUnreachable)
		if (unreachable || errors.Is(err, backends.ErrDeclined)) && ctx.Err() == nil {
			if unreachable {
				t.fellSilent(err)
			}
			return taskRoute{nomad, place, err}, nil
		}
	}
	return taskRoute{runtime: t.Docker, place: place}, nil
}

// forDocker returns the place with what Docker needs to reach it.
func (t *taskRuntime) forDocker(ctx context.Context) (backends.TaskRef, error) {
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

// silent is a daemon that did not answer.
type silent struct {
	since time.Time
	err   error
}

// isSilent returns the error of a daemon that did not answer a short while ago.
func (t *taskRuntime) isSilent() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.silent[t.place.Allocation.NodeID]; time.Since(s.since) < silence {
		return s.err
	}
	return nil
}

func (t *taskRuntime) fellSilent(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.silent == nil {
		t.silent = map[string]silent{}
	}
	for node, s := range t.silent {
		if time.Since(s.since) > silence {
			delete(t.silent, node)
		}
	}
	t.silent[t.place.Allocation.NodeID] = silent{time.Now(), err}
}
