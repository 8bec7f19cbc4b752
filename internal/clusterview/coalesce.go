package clusterview

import (
	"context"
	"sync"

	"nomadctld/internal/safego"
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

// coalesceRead returns the result of query, or of the simultaneous query of another caller with the same key.
func coalesceRead[T any](
	ctx context.Context, rc *readCoalescer, key string, query func(context.Context) (T, error),
) (T, error) {
	r := rc.join(ctx, key, func(ctx context.Context) (any, error) { return query(ctx) })
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
				r.err = safego.Protect(func() (err error) {
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
