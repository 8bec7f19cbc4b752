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
	"nomadctld/internal/logjoin"
	"nomadctld/internal/logshare"
)

// TaskRuntime gives one command of a user access to one task.
type TaskRuntime interface {
	// Inspect returns the container runtime's JSON about the task's container, unchanged.
	Inspect(ctx context.Context) (json.RawMessage, error)

	Exec(ctx context.Context, p backends.Program) (code int, err error)
	Attach(ctx context.Context, a backends.Attachment) (code int, err error)

	// Log is backends.Runtime.Log of this task. With q.Follow, all viewers of the same log share one stream. It
	// returns backends.ErrLogDisabled if the task has no log.
	Log(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error

	// PreviousLog is Log for the output before the task's last restart. It returns backends.ErrRunsNotSeparable if
	// the runtime cannot tell the runs apart.
	PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error
}

// ExecMode selects the backend through which tasks are reached.
type ExecMode string

// The modes. Auto uses Docker for tasks of the docker driver whose daemon responds, and Nomad for all others.
const (
	ExecModeAuto   ExecMode = "auto"
	ExecModeDocker ExecMode = "docker"
	ExecModeNomad  ExecMode = "nomad"
)

// RuntimeSelector selects the backend for each task, in all tiers.
type RuntimeSelector struct {
	Docker         backends.ContainerRuntime
	Nomad          map[string]backends.Runtime // by tier
	Mode           ExecMode
	RefusedDrivers []string // exec and attach are refused for tasks of these drivers

	// Concurrent programs and logs of each user on one cluster; nil: unlimited. ClusterOf returns the cluster of a tier;
	// nil: each tier is its own cluster.
	ProgramQuota, LogQuota *Quota
	ClusterOf              func(tier string) string

	viewers logshare.Fanout

	mu          sync.Mutex
	downDaemons map[string]downDaemon // guarded by mu; by node ID
}

// forTask returns the runtime of a task for the user of the scope. If the scope does not own the task, every call
// fails.
func (r *RuntimeSelector) forTask(s *scopedCluster, a backends.Allocation, task string) TaskRuntime {
	return &boundRuntime{
		RuntimeSelector: r, scope: s,
		task: backends.TaskRef{Allocation: a, Task: task, Node: backends.Node{Name: a.Node}},
	}
}

// boundRuntime is the runtime of one task.
type boundRuntime struct {
	*RuntimeSelector
	scope  *scopedCluster
	task   backends.TaskRef
	detail *backends.AllocationDetail // nil until it is read
}

func (t *boundRuntime) Inspect(ctx context.Context) (json.RawMessage, error) {
	task, err := t.withNodeAddress(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := t.Docker.Inspect(ctx, task.Node, task.Task, task.Allocation.ID)
	return raw, t.explainUnreachable(err)
}

func (t *boundRuntime) Exec(ctx context.Context, p backends.Program) (int, error) {
	return t.runProgram(ctx, func(runtime backends.Runtime, task backends.TaskRef) (int, error) {
		return runtime.Exec(ctx, task, p)
	})
}

func (t *boundRuntime) Attach(ctx context.Context, a backends.Attachment) (int, error) {
	return t.runProgram(ctx, func(runtime backends.Runtime, task backends.TaskRef) (int, error) {
		return runtime.Attach(ctx, task, a)
	})
}

// runProgram calls f with the selected runtime, and again with Nomad if Docker declines.
func (t *boundRuntime) runProgram(ctx context.Context,
	f func(backends.Runtime, backends.TaskRef) (int, error),
) (int, error) {
	if err := t.checkDriver(ctx); err != nil {
		return 0, err
	}
	release, err := t.ProgramQuota.Acquire(ctx, t.clusterName())
	if err != nil {
		return 0, err
	}
	defer release()
	r, err := t.selectRuntime(ctx)
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

// explainUnreachable adds the reason to backends.ErrUnreachable if the allocation's status shows it.
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

// checkDriver returns an error if the configuration refuses programs in tasks of this driver.
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
		return fmt.Errorf("the driver of task %s of %s is unknown, and this gateway refuses exec and attach for some drivers",
			t.task.Task, t.task.Allocation.Name)
	}
	return fmt.Errorf("task %s of %s uses the driver %s, and this gateway refuses exec and attach for it (docker.refuse)",
		t.task.Task, t.task.Allocation.Name, driver)
}

// shouldFallBack reports whether Docker declined and Nomad should be tried.
func (t *boundRuntime) shouldFallBack(ctx context.Context, r selectedRuntime, err error) bool {
	return t.Mode == ExecModeAuto && r.runtime == backends.Runtime(t.Docker) && errors.Is(err, backends.ErrDeclined) &&
		ctx.Err() == nil
}

// Log reads the container's log joined with Nomad's log files, which outlive the container, or only what is available.
func (t *boundRuntime) Log(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
	return t.readLog(ctx, func(source backends.LogSource, task backends.TaskRef) error {
		// Log files refuse a query that needs a container. Its error must not end a stream that others have joined.
		if _, files := source.(backends.LogFiles); !q.Follow || files && q.NeedsContainer() {
			return source.Log(ctx, task, q, each)
		}
		return t.viewers.Follow(ctx, source, task, q, each)
	})
}

// readLog calls read with the source of the task's log, while it occupies one of the user's slots for logs.
func (t *boundRuntime) readLog(ctx context.Context, read func(backends.LogSource, backends.TaskRef) error) error {
	release, err := t.LogQuota.Acquire(ctx, t.clusterName())
	if err != nil {
		return err
	}
	defer release()
	source, task, err := t.logSource(ctx)
	if err != nil {
		return err
	}
	return t.explainUnreachable(read(source, task))
}

// logSource returns the source of the task's log: Docker and Nomad joined if both are available.
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
	r, err := t.selectRuntime(ctx)
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
	return logjoin.Source{Container: t.Docker, Files: files}, r.task, nil
}

// PreviousLog implements TaskRuntime.
func (t *boundRuntime) PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
	return t.readLog(ctx, func(source backends.LogSource, task backends.TaskRef) error {
		if joined, ok := source.(logjoin.Source); ok {
			return joined.Previous(ctx, task, q, each)
		}
		return backends.ErrRunsNotSeparable
	})
}

// clusterName returns the cluster of the task's tier, for the quotas.
func (t *boundRuntime) clusterName() string {
	if t.ClusterOf == nil {
		return t.task.Allocation.Tier
	}
	return t.ClusterOf(t.task.Allocation.Tier)
}

// selectedRuntime is the selected runtime of a task.
type selectedRuntime struct {
	runtime   backends.Runtime
	task      backends.TaskRef
	dockerErr error // why Docker was not selected; nil: Docker was selected, or does not have precedence
}

// selectRuntime selects the runtime for the task.
func (t *boundRuntime) selectRuntime(ctx context.Context) (r selectedRuntime, err error) {
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
			return selectedRuntime{runtime: nomad, task: t.task}, nil
		}
		if err := t.downError(); err != nil {
			return selectedRuntime{nomad, t.task, err}, nil
		}
	}
	task, err := t.withNodeAddress(ctx)
	if err != nil {
		return r, err
	}
	if t.Mode == ExecModeAuto {
		// Check that Docker responds before starting something that cannot be started twice.
		_, err := t.Docker.Inspect(ctx, task.Node, task.Task, task.Allocation.ID)
		unreachable := errors.Is(err, backends.ErrUnreachable)
		if (unreachable || errors.Is(err, backends.ErrDeclined)) && ctx.Err() == nil {
			if unreachable {
				t.markDown(err)
			}
			return selectedRuntime{nomad, task, err}, nil
		}
	}
	return selectedRuntime{runtime: t.Docker, task: task}, nil
}

// withNodeAddress returns the task with its node's address, if Docker needs it.
func (t *boundRuntime) withNodeAddress(ctx context.Context) (backends.TaskRef, error) {
	if !t.scope.owns(t.task.Allocation) {
		return t.task, errNotOwned
	}
	task := t.task
	if t.Docker.NeedsAddress() {
		address, err := t.scope.NodeAddress(ctx, task.Allocation)
		if err != nil {
			return task, err
		}
		task.Node.Address = address
	}
	return task, nil
}

// daemonRetryInterval is the time until a daemon that did not respond is tried again. Connecting to one behind a
// firewall takes seconds to fail.
const daemonRetryInterval = 30 * time.Second

// downDaemon is a daemon that did not respond.
type downDaemon struct {
	since time.Time
	err   error
}

// downError returns the last error of a daemon that recently did not respond, or nil.
func (t *boundRuntime) downError() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.downDaemons[t.task.Allocation.NodeID]; time.Since(s.since) < daemonRetryInterval {
		return s.err
	}
	return nil
}

// markDown records that the node's daemon did not respond, and removes outdated entries.
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
