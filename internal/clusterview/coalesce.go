package backends

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
)

// maxReads limits concurrent large reads. Each may use tens of megabytes while it is decoded, so this limit bounds the
// gateway's memory, however many commands are running.
const maxReads = 3

// readCoalescer lets callers with the same key share one read. A result is never older than the call that gets it:
// callers that arrive while a read is running share the next one. The zero value is ready to use.
type readCoalescer struct {
	mu     sync.Mutex
	queues map[string]*readQueue // by key; guarded by mu
	slots  chan struct{}         // limits running reads to maxReads
}

// readQueue holds the reads of one key. It is guarded by readCoalescer.mu.
type readQueue struct {
	current, next *sharedRead // next is nil if no caller waits for it
}

// sharedRead is one read with its callers.
type sharedRead struct {
	read    func(context.Context) (any, error)
	ctx     context.Context // canceled when the last caller has left
	cancel  context.CancelFunc
	waiting int  // number of callers; guarded by readCoalescer.mu
	started bool // guarded by readCoalescer.mu
	done    chan struct{}
	value   any   // set before done is closed
	err     error // set before done is closed
}

// coalesceRead returns the result of read. Nobody may change the value.
func coalesceRead[T any](
	ctx context.Context, rc *readCoalescer, key string, read func(context.Context) (T, error),
) (T, error) {
	r := rc.join(ctx, key, func(ctx context.Context) (any, error) { return read(ctx) })
	defer rc.leave(r)
	var none T
	select {
	case <-r.done:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	value, _ := r.value.(T)
	return value, r.err
}

// join adds a caller to the first read of key that has not started yet, and returns it.
func (rc *readCoalescer) join(ctx context.Context, key string, read func(context.Context) (any, error)) *sharedRead {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if rc.queues == nil {
		rc.queues, rc.slots = map[string]*readQueue{}, make(chan struct{}, maxReads)
	}
	newRead := func() *sharedRead {
		r := &sharedRead{read: read, done: make(chan struct{})}
		r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
		return r
	}
	queue := rc.queues[key]
	if queue == nil {
		queue = &readQueue{current: newRead()}
		rc.queues[key] = queue
		go rc.run(key, queue)
	}
	r := queue.current
	if r.started {
		if queue.next == nil {
			queue.next = newRead()
		}
		r = queue.next
	}
	r.waiting++
	return r
}

// leave removes a caller. The last one cancels the read.
func (rc *readCoalescer) leave(r *sharedRead) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if r.waiting--; r.waiting == 0 {
		r.cancel()
	}
}

// run makes the reads of a queue until it is empty.
func (rc *readCoalescer) run(key string, queue *readQueue) {
	for r := queue.current; r != nil; {
		select {
		case rc.slots <- struct{}{}:
			if rc.start(r) {
				r.err = Protect(func() (err error) {
					r.value, err = r.read(r.ctx)
					return err
				})
			}
			<-rc.slots
		case <-r.ctx.Done():
			if rc.recheck(r) {
				continue
			}
		}
		r = rc.deliver(key, queue)
	}
}

// start marks the read as started and reports whether it has callers.
func (rc *readCoalescer) start(r *sharedRead) bool {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	wanted := r.prepare()
	r.started = true
	return wanted
}

// recheck calls prepare for a read that has not started and whose context is canceled.
func (rc *readCoalescer) recheck(r *sharedRead) bool {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return r.prepare()
}

// prepare ends a read without callers and returns false. Otherwise it replaces the context if the earlier callers
// canceled it. The caller holds readCoalescer.mu.
func (r *sharedRead) prepare() bool {
	if r.waiting == 0 {
		r.started, r.err = true, context.Canceled
		return false
	}
	if r.ctx.Err() != nil {
		r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(r.ctx))
	}
	return true
}

// deliver wakes the callers of the finished read and returns the next read.
func (rc *readCoalescer) deliver(key string, queue *readQueue) *sharedRead {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	queue.current.cancel()
	close(queue.current.done)
	queue.current, queue.next = queue.next, nil
	if queue.current == nil {
		delete(rc.queues, key)
	}
	return queue.current
}

// coalescedView is a view of a SharedCluster without caching. It does not embed Cluster, so that a method added to
// Cluster must decide here whether callers share reads.
type coalescedView struct{ *SharedCluster }

var _ Cluster = coalescedView{}

func (c coalescedView) Jobs(ctx context.Context, s Selection) ([]Job, error) {
	return coalesceRead(ctx, &c.reads, fmt.Sprintf("jobs %+v", s), func(ctx context.Context) ([]Job, error) {
		return c.cluster.Jobs(ctx, s)
	})
}

func (c coalescedView) Job(ctx context.Context, job Job) (JobDetail, error) {
	key := fmt.Sprintf("job %q %q", job.Namespace, job.ID)
	return coalesceRead(ctx, &c.reads, key, func(ctx context.Context) (JobDetail, error) {
		return c.cluster.Job(ctx, job)
	})
}

func (c coalescedView) Definition(ctx context.Context, job Job, version *uint64) (json.RawMessage, error) {
	key := fmt.Sprintf("definition %q %q", job.Namespace, job.ID)
	if version != nil {
		key += fmt.Sprint(" ", *version)
	}
	return coalesceRead(ctx, &c.reads, key, func(ctx context.Context) (json.RawMessage, error) {
		return c.cluster.Definition(ctx, job, version)
	})
}

func (c coalescedView) Versions(ctx context.Context, job Job) ([]Version, error) {
	key := fmt.Sprintf("versions %q %q", job.Namespace, job.ID)
	return coalesceRead(ctx, &c.reads, key, func(ctx context.Context) ([]Version, error) {
		return c.cluster.Versions(ctx, job)
	})
}

func (c coalescedView) Deployments(ctx context.Context, job Job) ([]Deployment, error) {
	key := fmt.Sprintf("deployments %q %q", job.Namespace, job.ID)
	return coalesceRead(ctx, &c.reads, key, func(ctx context.Context) ([]Deployment, error) {
		return c.cluster.Deployments(ctx, job)
	})
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
