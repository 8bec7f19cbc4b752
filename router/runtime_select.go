package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"nomadctld/backends"
)

// selectedRuntime is the selected runtime of a task.
type selectedRuntime struct {
	runtime   backends.Runtime
	task      backends.TaskRef
	fallbacks []RuntimeEntry // to use if the runtime declines
	skipped   error          // why the preferred runtime was not selected; nil: it was
}

// selectRuntime selects the runtime for the task.
func (t *boundRuntime) selectRuntime(ctx context.Context) (selectedRuntime, error) {
	if !t.scope.owns(t.task.Allocation) {
		return selectedRuntime{}, errNotOwned
	}
	if t.needsDriver() {
		if t.detail == nil {
			detail, err := t.scope.Allocation(ctx, t.task.Allocation)
			if err != nil {
				return selectedRuntime{}, err
			}
			t.detail = &detail
		}
		t.task.Driver = t.detail.Task(t.task.Task).Driver
	}
	return t.selectFrom(ctx, t.candidates(t.task.Driver))
}

// selectFrom selects the first of the runtimes that responds and does not decline, or the last one.
func (t *boundRuntime) selectFrom(ctx context.Context, candidates []RuntimeEntry) (selectedRuntime, error) {
	var skipped error
	for i, entry := range candidates {
		r := selectedRuntime{entry.Runtime(t.task.Allocation.Tier), t.task, candidates[i+1:], skipped}
		containers, ok := r.runtime.(backends.ContainerRuntime)
		if !ok {
			return r, nil
		}
		key := daemonKey{containers, t.task.Allocation.NodeID}
		if len(r.fallbacks) > 0 {
			if err := t.shared().down.lastError(key); err != nil {
				skipped = cmp.Or(skipped, err)
				continue
			}
		}
		var err error
		if r.task, err = t.withNodeAddress(ctx, containers); err != nil {
			return r, err
		}
		if len(r.fallbacks) > 0 {
			// Check that the daemon responds before starting something that cannot be started twice.
			_, err := containers.Inspect(ctx, r.task.Node, r.task.Task, r.task.Allocation.ID)
			unreachable := errors.Is(err, backends.ErrUnreachable)
			if (unreachable || errors.Is(err, backends.ErrDeclined)) && ctx.Err() == nil {
				if unreachable {
					t.shared().down.add(key, err)
				}
				skipped = cmp.Or(skipped, err)
				continue
			}
		}
		return r, nil
	}
	return selectedRuntime{}, fmt.Errorf("tasks of the driver %s: %w", t.task.Driver, backends.ErrUnsupported)
}

// withNodeAddress returns the task with its node's address, if the runtime needs it.
func (t *boundRuntime) withNodeAddress(
	ctx context.Context, containers backends.ContainerRuntime,
) (backends.TaskRef, error) {
	task := t.task
	if containers.NeedsAddress() {
		address, err := t.scope.NodeAddress(ctx, task.Allocation)
		if err != nil {
			return task, err
		}
		task.Node.Address = address
	}
	return task, nil
}
