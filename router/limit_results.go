package router

import (
	"context"
	"fmt"
	"sync"
	"time"

	"nomadctld/internal/audit"
)

const (
	// maxResults is how many of a user's commands hold results of a cluster at the same time. The result stays in memory
	// until the client has read it, so this bounds what a user can make the gateway hold.
	maxResults = 4

	resultSlotTimeout = 30 * time.Second // for one of the user's other commands to finish
)

// Follower is a command that does not hold its result: it passes it on as it comes, for as long as the user likes.
type Follower interface {
	// Follows is called after the flags have been parsed.
	Follows() bool
}

// resultSlots counts the commands that hold results, by user. The zero value is ready.
type resultSlots struct {
	mu    sync.Mutex
	users map[string]*userSlots
}

// userSlots is in the map while somebody has a slot or waits for one. resultSlots.mu guards waiting.
type userSlots struct {
	slots   chan struct{}
	waiting int // those that have a slot included
}

// acquire waits for one of the user's slots and returns a function that gives it back, which may be called twice.
func (m *resultSlots) acquire(ctx context.Context, user string) (leave func(), err error) {
	m.mu.Lock()
	if m.users == nil {
		m.users = map[string]*userSlots{}
	}
	u := m.users[user]
	if u == nil {
		u = &userSlots{slots: make(chan struct{}, maxResults)}
		m.users[user] = u
	}
	u.waiting++
	m.mu.Unlock()
	forget := func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if u.waiting--; u.waiting == 0 {
			delete(m.users, user)
		}
	}
	timer := time.NewTimer(resultSlotTimeout)
	defer timer.Stop()
	select {
	case u.slots <- struct{}{}:
		return sync.OnceFunc(func() { <-u.slots; forget() }), nil
	case <-timer.C:
		forget()
		return nil, Exit(CodeTryLater, fmt.Errorf("%d of your commands are still running, or their output has not been read: try again later", maxResults))
	case <-ctx.Done():
		forget()
		return nil, context.Cause(ctx)
	}
}

// AcquireResultSlot waits for one of the user's slots for results in memory. Call leave to release the slot.
func (r *Request) AcquireResultSlot(ctx context.Context) (leave func(), err error) {
	if r.acquireResultSlot == nil {
		return func() {}, nil
	}
	return r.acquireResultSlot(ctx)
}

// limitResults gives each command that reaches a cluster one of its user's slots: for all of its time if it only reads and holds
// its result, else until authorize has found what it is about.
func limitResults(m *resultSlots) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			spec := req.Command.Spec()
			if spec.Target == TargetNone {
				return next(ctx, req)
			}
			leave, err := m.acquire(ctx, req.User.Login)
			if ExitCode(err) == CodeTryLater {
				req.Event.Decision = audit.Denied
			}
			if err != nil {
				return err
			}
			defer leave()
			req.acquireResultSlot = func(ctx context.Context) (func(), error) { return m.acquire(ctx, req.User.Login) }
			if f, ok := req.Command.(Follower); spec.Set != Read || ok && f.Follows() {
				req.onResolved = leave
			}
			return next(ctx, req)
		}
	}
}
