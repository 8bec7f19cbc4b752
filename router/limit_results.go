package router

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// maxResults limits how many commands of one user buffer cluster results at the same time. A result stays in memory
	// until the client has read it, so this limits the memory that a user can occupy.
	maxResults = 4

	resultSlotTimeout = 30 * time.Second // for another command of the user to finish
)

// Follower is a command that may stream its output for as long as the user likes, instead of buffering a result.
type Follower interface {
	// Follows reports whether this run streams. It is called after the flags have been parsed.
	Follows() bool
}

// resultSlots limits the commands that buffer results, for each user. The zero value is ready to use.
type resultSlots struct {
	mu    sync.Mutex
	users map[string]*userSlots // guarded by mu
}

// userSlots is in the map while a command of the user has a slot or waits for one.
type userSlots struct {
	slots chan struct{}
	refs  int // guarded by resultSlots.mu; includes commands that have a slot
}

// acquire waits for one of the user's slots and returns a function that releases it. That function may be called
// twice.
func (m *resultSlots) acquire(ctx context.Context, user string) (release func(), err error) {
	m.mu.Lock()
	if m.users == nil {
		m.users = map[string]*userSlots{}
	}
	u := m.users[user]
	if u == nil {
		u = &userSlots{slots: make(chan struct{}, maxResults)}
		m.users[user] = u
	}
	u.refs++
	m.mu.Unlock()
	forget := func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if u.refs--; u.refs == 0 {
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
		return nil, Exit(CodeTryLater, fmt.Errorf(
			"%d of your commands are running or have unread output, which is the limit; try again when one has finished",
			maxResults))
	case <-ctx.Done():
		forget()
		return nil, context.Cause(ctx)
	}
}

// limitResults gives each command that reaches a cluster one of its user's slots. A command that only reads and buffers
// its result occupies the slot until the command has finished. Any other command releases the slot when authorize has
// resolved the target.
func limitResults(m *resultSlots) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			spec := req.Command.Spec()
			if spec.Target == TargetNone {
				return next(ctx, req)
			}
			release, err := m.acquire(ctx, req.User.Login)
			if err != nil {
				return err
			}
			defer release()
			req.Access.acquireResultSlot = func(ctx context.Context) (func(), error) { return m.acquire(ctx, req.User.Login) }
			if f, ok := req.Command.(Follower); spec.RightSet != Read || ok && f.Follows() {
				req.Access.onResolved = release
			}
			return next(ctx, req)
		}
	}
}
