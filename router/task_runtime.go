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

// TaskRuntime reaches into the one task that it was made for.
type TaskRuntime interface {
	// Inspect returns what the container runtime says of the task's container, in JSON, byte for byte.
	Inspect(ctx context.Context) (json.RawMessage, error)

	Exec(ctx context.Context, p backends.Program) (code int, err error)
	Attach(ctx context.Context, a backends.Attachment) (code int, err error)

	// Log is that of backends.Runtime. With q.Follow all viewers of the same share one stream. ErrLogDisabled: there is none.
	Log(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error

	// PreviousLog is Log, but of what the task wrote before it was last restarted. backends.ErrRunsNotSeparable: nobody can tell.
	PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error
}

// ExecMode is how tasks are reached.
type ExecMode string

// The ways: Auto is Docker for tasks of the docker driver whose daemon answers, and Nomad for all others.
const (
	ExecModeAuto   ExecMode = "auto"
	ExecModeDocker ExecMode = "docker"
	ExecModeNomad  ExecMode = "nomad"
)

// RuntimeSelector are the ways into the tasks of all tiers.
type RuntimeSelector struct {
	Docker         backends.ContainerRuntime
	Nomad          map[string]backends.Runtime // by tier
	Mode           ExecMode
	RefusedDrivers []string // drivers, in whose tasks no program is run and to which nobody attaches

	// What each user may have at a time on one cluster, which Cluster returns for a tier; nil: any number, and a tier is one.
	ProgramQuota, LogQuota *backends.Quota
	ClusterOf              func(tier string) string

	viewers backends.LogFanout

	mu          sync.Mutex
	downDaemons map[string]downDaemon // by node ID
}

// forTask returns the runtime of a task, which has to be the user's.
func (r *RuntimeSelector) forTask(s *scopedCluster, a backends.Allocation, task string) TaskRuntime {
	return &boundRuntime{RuntimeSelector: r, scope: s, task: backends.TaskRef{Allocation: a, Task: task, Node: backends.Node{Name: a.Node}}}
}

// boundRuntime is the way into one task.
type boundRuntime struct {
	*RuntimeSelector
	scope  *scopedCluster
	task   backends.TaskRef
	detail *backends.AllocationDetail // nil until it is read
}

func (t *boundRuntime) Inspect(ctx context.Context) (json.RawMessage, error) {
	place, err := t.withNodeAddress(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := t.Docker.Inspect(ctx, place.Node, place.Task, place.Allocation.ID)
	return raw, t.explainUnreachable(err)
}

func (t *boundRuntime) Exec(ctx context.Context, p backends.Program) (int, error) {
	return t.runProgram(ctx, func(runtime backends.Runtime, place backends.TaskRef) (int, error) {
		return runtime.Exec(ctx, place, p)
	})
}

func (t *boundRuntime) Attach(ctx context.Context, a backends.Attachment) (int, error) {
	return t.runProgram(ctx, func(runtime backends.Runtime, place backends.TaskRef) (int, error) {
		return runtime.Attach(ctx, place, a)
	})
}

// runProgram calls f with the runtime that reaches the task, and with Nomad once Docker has declined.
func (t *boundRuntime) runProgram(ctx context.Context, f func(backends.Runtime, backends.TaskRef) (int, error)) (int, error) {
	if err := t.checkDriver(ctx); err != nil {
		return 0, err
	}
	leave, err := t.ProgramQuota.Acquire(ctx, t.clusterName())
	if err != nil {
		return 0, err
	}
	defer leave()
	r, err := t.chooseRoute(ctx)
	if err != nil {
		return 0, err
	}
	code, err := f(r.runtime, r.task)
	if t.shouldFallBack(ctx, r, err) {
		r.runtime, r.dockerErr = t.Nomad[r.task.Allocation.Tier], err
		code, err = f(r.runtime, r.task)
	}
	if r.dockerErr != nil && (errors.Is(err, backends.ErrUnsupported) || errors.Is(err, backends.ErrForbidden)) {
		err = fmt.Errorf("%w (%w)", err, r.dockerErr)
	}
	return code, t.explainUnreachable(err)
}

// explainUnreachable returns err with why a task cannot be reached, where the state of its allocation tells.
func (t *boundRuntime) explainUnreachable(err error) error {
	if !errors.Is(err, backends.ErrUnreachable) {
		return err
	}
	node := cmp.Or(t.task.Allocation.Node, "its node")
	switch t.task.Allocation.Status {
	case "unknown":
		return fmt.Errorf("%w: %s is disconnected from Nomad, and the task may still be running there", err, node)
	case "lost":
		return fmt.Errorf("%w: the allocation was lost with %s", err, node)
	}
	return err
}

// checkDriver refuses to let a program run in a task whose driver the configuration excludes.
func (t *boundRuntime) checkDriver(ctx context.Context) error {
	if len(t.RefusedDrivers) == 0 {
		return nil
	}
	if !t.scope.owns(t.task.Allocation) {
		return errNotOwned
	}
	detail, err := t.scope.Allocation(ctx, t.task.Allocation)
	if err != nil {
		return err
	}
	driver := detail.Drivers[t.task.Task]
	if driver != "" && !slices.Contains(t.RefusedDrivers, driver) {
		return nil
	}
	t.scope.event.Decision = audit.Denied
	if driver == "" {
		return fmt.Errorf("the driver of task %s of %s is not known, and this gateway refuses exec and attach for some drivers", t.task.Task, t.task.Allocation.Name)
	}
	return fmt.Errorf("task %s of %s uses the driver %s, for which this gateway refuses exec and attach (its setting docker.refuse)", t.task.Task, t.task.Allocation.Name, driver)
}

// shouldFallBack reports whether Docker has declined what Nomad may do.
func (t *boundRuntime) shouldFallBack(ctx context.Context, r taskRoute, err error) bool {
	return t.Mode == ExecModeAuto && r.runtime == backends.Runtime(t.Docker) && errors.Is(err, backends.ErrDeclined) && ctx.Err() == nil
}

// Log takes Docker's log driver where it can be read, else Nomad's files, which outlive the container.
func (t *boundRuntime) Log(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
	return t.readLog(ctx, func(source backends.LogSource, place backends.TaskRef) error {
		if _, files := source.(backends.LogFiles); !q.Follow || files && q.NeedsContainer() {
			return source.Log(ctx, place, q, each)
		}
		return t.viewers.Follow(ctx, source, place, q, each)
	})
}

// readLog calls read with the source of the task's log, while it holds one of the user's slots for logs.
func (t *boundRuntime) readLog(ctx context.Context, read func(backends.LogSource, backends.TaskRef) error) error {
	leave, err := t.LogQuota.Acquire(ctx, t.clusterName())
	if err != nil {
		return err
	}
	defer leave()
	source, place, err := t.logSource(ctx)
	if err != nil {
		return err
	}
	return t.explainUnreachable(read(source, place))
}

// logSource returns where the log of the task is read: Docker's and Nomad's together if both can be used.
func (t *boundRuntime) logSource(ctx context.Context) (backends.LogSource, backends.TaskRef, error) {
	if t.scope.owns(t.task.Allocation) {
		detail, err := t.scope.Allocation(ctx, t.task.Allocation)
		switch {
		case err != nil && t.Mode != ExecModeDocker:
			return nil, t.task, err
		case err == nil && slices.Contains(detail.LogsDisabled, t.task.Task):
			return nil, t.task, backends.ErrLogDisabled
		case err == nil:
			t.detail = &detail
		}
	}
	r, err := t.chooseRoute(ctx)
	if err != nil {
		return nil, r.task, err
	}
	if r.runtime != backends.Runtime(t.Docker) {
		return r.runtime, r.task, nil
	}
	files, _ := t.Nomad[r.task.Allocation.Tier].(backends.LogFiles)
	if t.Mode == ExecModeDocker {
		files = nil
	}
	return backends.JoinedLog{Container: t.Docker, Files: files}, r.task, nil
}

// PreviousLog implements Runtime.
func (t *boundRuntime) PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
	return t.readLog(ctx, func(source backends.LogSource, place backends.TaskRef) error {
		if joined, ok := source.(backends.JoinedLog); ok {
			return joined.Previous(ctx, place, q, each)
		}
		return backends.ErrRunsNotSeparable
	})
}

func (t *boundRuntime) clusterName() string {
	if t.ClusterOf == nil {
		return t.task.Allocation.Tier
	}
	return t.ClusterOf(t.task.Allocation.Tier)
}

// taskRoute is how a task is reached.
type taskRoute struct {
	runtime   backends.Runtime
	task      backends.TaskRef
	dockerErr error // why it is not Docker, which would have been first; nil: it is, or would not
}

// chooseRoute returns the route to the task.
func (t *boundRuntime) chooseRoute(ctx context.Context) (r taskRoute, err error) {
	nomad := t.Nomad[t.task.Allocation.Tier]
	if !t.scope.owns(t.task.Allocation) {
		return r, errNotOwned
	}
	if t.Mode != ExecModeDocker {
		if t.detail == nil {
			detail, err := t.scope.Allocation(ctx, t.task.Allocation)
			if err != nil {
				return r, err
			}
			t.detail = &detail
		}
		t.task.Driver = t.detail.Drivers[t.task.Task]
		if t.Mode == ExecModeNomad || t.task.Driver != "docker" {
			return taskRoute{runtime: nomad, task: t.task}, nil
		}
		if err := t.downError(); err != nil {
			return taskRoute{nomad, t.task, err}, nil
		}
	}
	place, err := t.withNodeAddress(ctx)
	if err != nil {
		return r, err
	}
	if t.Mode == ExecModeAuto {
		// Whether it answers has to be known before anything is begun that cannot be begun twice.
		_, err := t.Docker.Inspect(ctx, place.Node, place.Task, place.Allocation.ID)
		unreachable := errors.Is(err, backends.ErrUnreachable)
		if (unreachable || errors.Is(err, backends.ErrDeclined)) && ctx.Err() == nil {
			if unreachable {
				t.markDown(err)
			}
			return taskRoute{nomad, place, err}, nil
		}
	}
	return taskRoute{runtime: t.Docker, task: place}, nil
}

// withNodeAddress returns the place with what Docker needs to reach it.
func (t *boundRuntime) withNodeAddress(ctx context.Context) (backends.TaskRef, error) {
	if !t.scope.owns(t.task.Allocation) {
		return t.task, errNotOwned
	}
	place := t.task
	if t.Docker.NeedsAddress() {
		address, err := t.scope.NodeAddress(ctx, place.Allocation)
		if err != nil {
			return place, err
		}
		place.Node.Address = address
	}
	return place, nil
}

// daemonRetryInterval is how long a daemon that did not answer is not asked: waiting for one behind a firewall takes seconds.
const daemonRetryInterval = 30 * time.Second

// downDaemon is a daemon that did not answer.
type downDaemon struct {
	since time.Time
	err   error
}

// downError returns the error of a daemon that did not answer a short while ago.
func (t *boundRuntime) downError() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.downDaemons[t.task.Allocation.NodeID]; time.Since(s.since) < daemonRetryInterval {
		return s.err
	}
	return nil
}

func (t *boundRuntime) markDown(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.downDaemons == nil {
		t.downDaemons = map[string]downDaemon{}
	}
	for node, s := range t.downDaemons {
		if time.Since(s.since) > daemonRetryInterval {
			delete(t.downDaemons, node)
		}
	}
	t.downDaemons[t.task.Allocation.NodeID] = downDaemon{time.Now(), err}
}
