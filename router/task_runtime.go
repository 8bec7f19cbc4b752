package router

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/logjoin"
)

// TaskRuntime gives one command of a user access to one task.
type TaskRuntime interface {
	// Inspect returns the container runtime's JSON about the task's container, unchanged.
	Inspect(ctx context.Context) (json.RawMessage, error)

	Exec(ctx context.Context, p backends.Program) (code int, err error)
	Attach(ctx context.Context, a backends.Attachment) (code int, err error)

	// Log is backends.Runtime.Log of this task. With q.Follow, all viewers of the same log share one stream. It
	// returns backends.ErrLogDisabled if the job disables the task's log.
	Log(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error

	// PreviousLog is Log for the output before the task's last restart. It returns backends.ErrRunsNotSeparable if
	// the runtime cannot tell the runs apart.
	PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error
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

// Inspect implements TaskRuntime. It uses the container runtime for the task's driver, even if programs and logs use
// another runtime.
func (t *boundRuntime) Inspect(ctx context.Context) (json.RawMessage, error) {
	detail, err := t.scope.Allocation(ctx, t.task.Allocation)
	if err != nil {
		return nil, err
	}
	driver := detail.Task(t.task.Task).Driver
	var titles []string
	for _, entry := range t.Table {
		containers, ok := entry.Runtime(t.task.Allocation.Tier).(backends.ContainerRuntime)
		if !ok {
			continue
		}
		if !entry.serves(driver) {
			titles = append(titles, entry.Title)
			continue
		}
		task, err := t.withNodeAddress(ctx, containers)
		if err != nil {
			return nil, err
		}
		raw, err := containers.Inspect(ctx, task.Node, task.Task, task.Allocation.ID)
		if err != nil {
			return nil, t.explainUnreachable(err)
		}
		return t.scope.secrets.json(task.Allocation.JobRef(), raw)
	}
	return nil, fmt.Errorf("task %s of %s has no %s container: its driver is %s",
		t.task.Task, t.task.Allocation.Name, strings.Join(titles, " or "), driver)
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

// runProgram calls f with the selected runtime, and again with the next one if it declines.
func (t *boundRuntime) runProgram(ctx context.Context,
	f func(backends.Runtime, backends.TaskRef) (int, error),
) (int, error) {
	if err := t.checkDriver(ctx); err != nil {
		return 0, err
	}
	release, err := t.ProgramQuota.Acquire(ctx, t.cluster(t.task.Allocation.Tier))
	if err != nil {
		return 0, err
	}
	defer release()
	r, err := t.selectRuntime(ctx)
	if err != nil {
		return 0, err
	}
	code, err := f(r.runtime, r.task)
	for len(r.fallbacks) > 0 && errors.Is(err, backends.ErrDeclined) && ctx.Err() == nil {
		skipped := cmp.Or(r.skipped, err)
		if r, err = t.selectFrom(ctx, r.fallbacks); err != nil {
			return 0, err
		}
		r.skipped = skipped
		code, err = f(r.runtime, r.task)
	}
	if r.skipped != nil && (errors.Is(err, backends.ErrUnsupported) || errors.Is(err, backends.ErrForbidden)) {
		err = fmt.Errorf("%w (%w)", err, r.skipped)
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
	driver := detail.Task(t.task.Task).Driver
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

// Log reads the container's log joined with log files, which outlive the container, or only what is available.
func (t *boundRuntime) Log(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
	return t.readLog(ctx, func(source backends.LogSource, task backends.TaskRef) error {
		// Log files refuse a query that needs a container. Its error would end a shared stream for all viewers.
		if _, files := source.(backends.LogFiles); !q.Follow || files && q.NeedsContainer() {
			return source.Log(ctx, task, q, each)
		}
		return t.shared().viewers.Follow(ctx, source, task, q, each)
	})
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

// readLog calls read with the source of the task's log, while it occupies one of the user's slots for logs.
func (t *boundRuntime) readLog(ctx context.Context, read func(backends.LogSource, backends.TaskRef) error) error {
	release, err := t.LogQuota.Acquire(ctx, t.cluster(t.task.Allocation.Tier))
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

// logSource returns the source of the task's log. The log of a container is joined with log files if another runtime
// for the task has some.
func (t *boundRuntime) logSource(ctx context.Context) (backends.LogSource, backends.TaskRef, error) {
	if t.scope.owns(t.task.Allocation) {
		detail, err := t.scope.Allocation(ctx, t.task.Allocation)
		switch {
		case err != nil && t.needsDriver():
			return nil, t.task, err
		case err == nil && detail.Task(t.task.Task).LogsDisabled:
			return nil, t.task, backends.ErrLogDisabled
		case err == nil:
			t.detail = &detail
		}
	}
	r, err := t.selectRuntime(ctx)
	if err != nil {
		return nil, r.task, err
	}
	containers, ok := r.runtime.(backends.ContainerRuntime)
	if !ok {
		return r.runtime, r.task, nil
	}
	joined := logjoin.Source{Container: containers}
	for _, other := range r.fallbacks {
		if files, ok := other.Runtime(r.task.Allocation.Tier).(backends.LogFiles); ok {
			joined.Files = files
			break
		}
	}
	return joined, r.task, nil
}
