package backends

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
)

// maxReads is how many large reads of a cluster run at the same time. Each may hold tens of megabytes while it is decoded,
// so their number bounds the gateway's memory, however many commands run.
const maxReads = 3

// readCoalescer lets callers who ask for the same thing at the same time share one read, without giving anybody a result that was
// read before they asked: who comes while a read runs shares the next one. The zero value is ready.
type readCoalescer struct {
	mu     sync.Mutex
	queues map[string]*readQueue
	slots  chan struct{} // of maxReads
}

// readQueue is the callers who ask for one thing. turns.mu guards it.
type readQueue struct {
	running, next *sharedRead // next is nil unless somebody waits for it
}

// sharedRead is one read and those who wait for it.
type sharedRead struct {
	read    func(context.Context) (any, error)
	ctx     context.Context // ends when nobody waits any more
	cancel  context.CancelFunc
	waiting int  // guarded by turns.mu
	started bool // likewise
	done    chan struct{}
	value   any   // set before done is closed
	err     error // likewise
}

// coalesceRead returns what read returns. Nobody may change the value.
func coalesceRead[T any](ctx context.Context, t *readCoalescer, key string, read func(context.Context) (T, error)) (T, error) {
	r := t.join(ctx, key, func(ctx context.Context) (any, error) { return read(ctx) })
	defer t.leave(r)
	var none T
	select {
	case <-r.done:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	value, _ := r.value.(T)
	return value, r.err
}

// join returns the first read of key that has not started yet.
func (t *readCoalescer) join(ctx context.Context, key string, read func(context.Context) (any, error)) *sharedRead {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queues == nil {
		t.queues, t.slots = map[string]*readQueue{}, make(chan struct{}, maxReads)
	}
	fresh := func() *sharedRead {
		r := &sharedRead{read: read, done: make(chan struct{})}
		r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
		return r
	}
	line := t.queues[key]
	if line == nil {
		line = &readQueue{running: fresh()}
		t.queues[key] = line
		go t.run(key, line)
	}
	r := line.running
	if r.started {
		if line.next == nil {
			line.next = fresh()
		}
		r = line.next
	}
	r.waiting++
	return r
}

// leave notes that a caller does not wait any more. The last one cancels the read.
func (t *readCoalescer) leave(r *sharedRead) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.waiting--; r.waiting == 0 {
		r.cancel()
	}
}

// run makes the reads of a line until nobody waits in it.
func (t *readCoalescer) run(key string, line *readQueue) {
	for r := line.running; r != nil; {
		select {
		case t.slots <- struct{}{}:
			if t.start(r) {
				r.err = Protect(func() (err error) {
					r.value, err = r.read(r.ctx)
					return err
				})
			}
			<-t.slots
		case <-r.ctx.Done():
			if t.stillWanted(r) {
				continue
			}
		}
		r = t.deliver(key, line)
	}
}

// start notes that a read starts, and reports whether somebody waits for it.
func (t *readCoalescer) start(r *sharedRead) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	wanted := r.isWanted()
	r.started = true
	return wanted
}

// stillWanted reports whether somebody waits for a read that has not started. Where all had left before another one joined, the
// read gets a new context.
func (t *readCoalescer) stillWanted(r *sharedRead) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return r.isWanted()
}

// isWanted does what renew does. turns.mu is held.
func (r *sharedRead) isWanted() bool {
	if r.waiting == 0 {
		r.started, r.err = true, context.Canceled
		return false
	}
	if r.ctx.Err() != nil {
		r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(r.ctx))
	}
	return true
}

// deliver gives the result to those who wait for it, and returns the next read.
func (t *readCoalescer) deliver(key string, line *readQueue) *sharedRead {
	t.mu.Lock()
	defer t.mu.Unlock()
	line.running.cancel()
	close(line.running.done)
	line.running, line.next = line.next, nil
	if line.running == nil {
		delete(t.queues, key)
	}
	return line.running
}

// coalescedView is a Shared for callers who want what is true now. It embeds no Cluster: a method that is added has to say whether
// callers may share a read.
type coalescedView struct{ *SharedCluster }

var _ Cluster = coalescedView{}

func (c coalescedView) Jobs(ctx context.Context, s Selection) ([]Job, error) {
	return coalesceRead(ctx, &c.reads, fmt.Sprintf("jobs %+v", s), func(ctx context.Context) ([]Job, error) { return c.cluster.Jobs(ctx, s) })
}

func (c coalescedView) Job(ctx context.Context, job Job) (JobDetail, error) {
	return coalesceRead(ctx, &c.reads, fmt.Sprintf("job %q %q", job.Namespace, job.ID), func(ctx context.Context) (JobDetail, error) { return c.cluster.Job(ctx, job) })
}

func (c coalescedView) Definition(ctx context.Context, job Job, version *uint64) (json.RawMessage, error) {
	key := fmt.Sprintf("definition %q %q", job.Namespace, job.ID)
	if version != nil {
		key += fmt.Sprint(" ", *version)
	}
	return coalesceRead(ctx, &c.reads, key, func(ctx context.Context) (json.RawMessage, error) { return c.cluster.Definition(ctx, job, version) })
}

func (c coalescedView) Versions(ctx context.Context, job Job) ([]Version, error) {
	return coalesceRead(ctx, &c.reads, fmt.Sprintf("versions %q %q", job.Namespace, job.ID), func(ctx context.Context) ([]Version, error) { return c.cluster.Versions(ctx, job) })
}

func (c coalescedView) Deployments(ctx context.Context, job Job) ([]Deployment, error) {
	return coalesceRead(ctx, &c.reads, fmt.Sprintf("deployments %q %q", job.Namespace, job.ID), func(ctx context.Context) ([]Deployment, error) { return c.cluster.Deployments(ctx, job) })
}

func (c coalescedView) Schedules(ctx context.Context, jobs []Job) ([]Schedule, error) {
	return c.cluster.Schedules(ctx, jobs)
}

func (c coalescedView) Usage(ctx context.Context, allocations []Allocation) map[string]Usage {
	return c.cluster.Usage(ctx, allocations)
}

func (c coalescedView) Checks(ctx context.Context, allocations []Allocation) map[string][]Check {
	return c.cluster.Checks(ctx, allocations)
}

func (c coalescedView) Allocation(ctx context.Context, a Allocation) (AllocationDetail, error) {
	return c.cluster.Allocation(ctx, a)
}

func (c coalescedView) NodeAddress(ctx context.Context, a Allocation) (string, error) {
	return c.cluster.NodeAddress(ctx, a)
}
