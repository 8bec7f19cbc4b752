package nomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

// fairSlots is a semaphore that is fair to users. A user may use a third of the slots while any are free, and more only
// while a third stays free, so that one user cannot take all. Waiting requests are served round robin by user: the
// user with the fewest slots first, then the one who was served longest ago.
type fairSlots struct {
	label       string // completes the text of ErrLimitReached, as in "through Nomad"
	capacity    int
	fairShare   int           // a third of capacity; a user with more slots must leave as many free
	waitTimeout time.Duration // 0: wait until the context ends, without a limit of waiting requests

	mu         sync.Mutex // guards the fields below
	inUse      int
	usedBy     map[string]int // by user
	lastServed map[string]int // by user: serveCount at the last grant; only users with slots or requests
	serveCount int            // number of grants
	queue      []*slotRequest // in order of arrival
}

// slotRequest is a request for n slots.
type slotRequest struct {
	user    string
	n       int
	granted chan struct{} // closed when the slots are granted
}

// maxWaiting limits the waiting requests of one user.
const maxWaiting = 16

// newFairSlots returns capacity slots. A request that waits longer than waitTimeout fails with ErrLimitReached. 0 waits
// without limit. label completes the error's text.
func newFairSlots(label string, capacity int, waitTimeout time.Duration) *fairSlots {
	return &fairSlots{
		label: label, capacity: capacity, fairShare: max(1, capacity/3), waitTimeout: waitTimeout,
		usedBy: map[string]int{}, lastServed: map[string]int{},
	}
}

// Acquire waits for n slots for the user of ctx and returns a function that releases them. It returns ErrLimitReached
// if it waits longer than waitTimeout or the deadline of ctx, or if too many requests of the user are already waiting.
// If ctx is canceled, it returns the cause.
func (s *fairSlots) Acquire(ctx context.Context, n int) (release func(), err error) {
	r := &slotRequest{user: backends.UserOf(ctx), n: n, granted: make(chan struct{})}
	s.mu.Lock()
	waiting := 0
	for _, other := range s.queue {
		if other.user == r.user {
			waiting++
		}
	}
	s.queue = append(s.queue, r)
	s.grant()
	if !r.isGranted() && s.waitTimeout > 0 && waiting >= maxWaiting {
		s.dequeue(r)
		err = s.limitError(r.user)
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.await(ctx, r)
}

// await waits until r has its slots, waitTimeout expires or ctx ends. If there is a waitTimeout, it reports a wait of
// more than a second.
func (s *fairSlots) await(ctx context.Context, r *slotRequest) (release func(), err error) {
	const reportTimeout = time.Second
	var late <-chan time.Time
	if s.waitTimeout > 0 && !r.isGranted() {
		timer := time.NewTimer(s.waitTimeout)
		defer timer.Stop()
		late = timer.C
		defer time.AfterFunc(reportTimeout, func() {
			safego.Protect(func() error {
				if wait, ok := s.positionOf(r); ok {
					backends.ReportSlotWait(ctx, wait)
				}
				return nil
			})
		}).Stop()
	}
	release = sync.OnceFunc(func() { s.release(r) })
	select {
	case <-r.granted:
		return release, nil
	case <-late:
	case <-ctx.Done():
		if err = context.Cause(ctx); errors.Is(err, context.DeadlineExceeded) {
			err = nil // treated like waitTimeout
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.isGranted() && err == nil {
		return release, nil
	}
	if err == nil {
		err = s.limitError(r.user)
	}
	if r.isGranted() {
		s.takeBack(r)
	} else {
		s.dequeue(r)
	}
	s.grant()
	return nil, err
}

// positionOf returns the position of r in the queue. ok is false if r does not wait any more. The position is that of
// the round robin: requests of users with fewer slots are ahead, and so are those of users who were served longer ago.
func (s *fairSlots) positionOf(r *slotRequest) (wait backends.SlotWait, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	index := slices.Index(s.queue, r)
	if index < 0 {
		return wait, false
	}
	slots := map[string]int{} // by user: slots that the user's earlier requests in the queue need
	before := make([]int, len(s.queue))
	for i, other := range s.queue {
		before[i] = s.usedBy[other.user] + slots[other.user]
		slots[other.user] += other.n
	}
	wait = backends.SlotWait{Position: 1, Waiting: len(s.queue)}
	for i, other := range s.queue {
		order := cmp.Or(
			cmp.Compare(before[i], before[index]),
			cmp.Compare(s.lastServed[other.user], s.lastServed[r.user]),
			cmp.Compare(i, index),
		)
		if order < 0 {
			wait.Position++
		}
	}
	return wait, true
}

// isGranted reports whether r has its slots. fairSlots.mu guards the grant.
func (r *slotRequest) isGranted() bool {
	select {
	case <-r.granted:
		return true
	default:
		return false
	}
}

// release frees the slots of r and grants them to waiting requests.
func (s *fairSlots) release(r *slotRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeBack(r)
	s.grant()
}

// takeBack marks the slots of r as free. The caller holds mu.
func (s *fairSlots) takeBack(r *slotRequest) {
	s.inUse -= r.n
	if s.usedBy[r.user] -= r.n; s.usedBy[r.user] == 0 {
		delete(s.usedBy, r.user)
	}
	s.forgetUser(r.user)
}

// dequeue removes r from the queue. The caller holds mu.
func (s *fairSlots) dequeue(r *slotRequest) {
	s.queue = slices.DeleteFunc(s.queue, func(other *slotRequest) bool { return other == r })
	s.forgetUser(r.user)
}

// forgetUser deletes the state of a user without slots and requests. The caller holds mu.
func (s *fairSlots) forgetUser(user string) {
	if s.usedBy[user] == 0 && !slices.ContainsFunc(s.queue, func(r *slotRequest) bool { return r.user == user }) {
		delete(s.lastServed, user)
	}
}

// grant gives free slots to waiting requests. If the next request needs more slots than are free, all others wait as
// well, so that it cannot starve. The caller holds mu.
func (s *fairSlots) grant() {
	for {
		next := s.next()
		if next == nil || s.inUse+next.n > s.capacity {
			return
		}
		s.inUse += next.n
		s.usedBy[next.user] += next.n
		s.serveCount++
		s.lastServed[next.user] = s.serveCount
		s.queue = slices.DeleteFunc(s.queue, func(other *slotRequest) bool { return other == next })
		close(next.granted)
	}
}

// next returns the request to serve next, or nil. The caller holds mu.
func (s *fairSlots) next() (next *slotRequest) {
	for _, r := range s.queue {
		if s.usedBy[r.user]+r.n > s.fairShare && s.capacity-s.inUse-r.n < s.fairShare {
			continue
		}
		if next == nil || s.usedBy[r.user] < s.usedBy[next.user] ||
			s.usedBy[r.user] == s.usedBy[next.user] && s.lastServed[r.user] < s.lastServed[next.user] {
			next = r
		}
	}
	return next
}

// InUse returns the number of slots in use.
func (s *fairSlots) InUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inUse
}

// usage returns the number of slots in use and of waiting requests.
func (s *fairSlots) usage() (used, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inUse, len(s.queue)
}

// limitError returns the error for a user who gets no slot. The caller holds mu.
func (s *fairSlots) limitError(user string) error {
	return fmt.Errorf("%w %s: %d of %d slots are in use, %d of them by you "+
		"(a user may have more than %d slots only while at least %d stay free); close one or retry in a minute",
		backends.ErrLimitReached, s.label, s.inUse, s.capacity, s.usedBy[user], s.fairShare, s.fairShare)
}
