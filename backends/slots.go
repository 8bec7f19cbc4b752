package backends

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Slots shares a number of slots out among users. A user may always have a third of them. More they get only while a third
// stays free, so that one user alone never has all. Who waits is served round robin by user: first the user with the fewest
// slots, of several the one who was served longest ago.
type Slots struct {
	label       string // for users: what ErrLimitReached is about
	capacity    int
	guaranteed  int           // what a user may always have, and what more than that leaves free
	waitTimeout time.Duration // for a slot; 0: as long as the context, however many wait

	mu         sync.Mutex // guards what follows
	inUse      int
	heldBy     map[string]int // by user
	lastServed map[string]int // by user who holds or awaits something: when they were last given one
	serveCount int            // counts what was given
	queue      []*slotRequest // in the order of their coming
}

type slotRequest struct {
	user    string
	n       int
	granted chan struct{} // closed once it has its slots
}

// maxWaiting is how many requests of one user may wait for slots.
const maxWaiting = 16

// NewSlots returns size slots. A request that waits longer than wait gets ErrLimitReached.
func NewSlots(what string, size int, wait time.Duration) *Slots {
	return &Slots{label: what, capacity: size, guaranteed: max(1, size/3), waitTimeout: wait, heldBy: map[string]int{}, lastServed: map[string]int{}}
}

// Acquire takes n slots at once for the user of ctx, and returns a function that gives them back. It waits for them, and
// returns ErrLimitReached after that, or when too many requests of the user wait already.
func (s *Slots) Acquire(ctx context.Context, n int) (leave func(), err error) {
	r := &slotRequest{user: UserOf(ctx), n: n, granted: make(chan struct{})}
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

func (s *Slots) await(ctx context.Context, r *slotRequest) (leave func(), err error) {
	var late <-chan time.Time
	if s.waitTimeout > 0 {
		timer := time.NewTimer(s.waitTimeout)
		defer timer.Stop()
		late = timer.C
	}
	leave = sync.OnceFunc(func() { s.release(r) })
	select {
	case <-r.granted:
		return leave, nil
	case <-late:
	case <-ctx.Done():
		if err = context.Cause(ctx); errors.Is(err, context.DeadlineExceeded) {
			err = nil // time is up here too
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.isGranted() && err == nil {
		return leave, nil
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

// isGranted reports whether r has its slots. They are given under Slots.mu.
func (r *slotRequest) isGranted() bool {
	select {
	case <-r.granted:
		return true
	default:
		return false
	}
}

func (s *Slots) release(r *slotRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeBack(r)
	s.grant()
}

// takeBack takes the slots of r back. The caller holds mu.
func (s *Slots) takeBack(r *slotRequest) {
	s.inUse -= r.n
	if s.heldBy[r.user] -= r.n; s.heldBy[r.user] == 0 {
		delete(s.heldBy, r.user)
	}
	s.forgetUser(r.user)
}

// dequeue takes r out of the queue. The caller holds mu.
func (s *Slots) dequeue(r *slotRequest) {
	s.queue = slices.DeleteFunc(s.queue, func(other *slotRequest) bool { return other == r })
	s.forgetUser(r.user)
}

// forgetUser removes what is remembered of a user who neither has nor awaits anything. The caller holds mu.
func (s *Slots) forgetUser(user string) {
	if s.heldBy[user] == 0 && !slices.ContainsFunc(s.queue, func(r *slotRequest) bool { return r.user == user }) {
		delete(s.lastServed, user)
	}
}

// grant gives free slots to waiting requests. If the next request needs more slots than are free, all others wait too, so
// that it cannot starve. The caller holds mu.
func (s *Slots) grant() {
	for {
		next := s.next()
		if next == nil || s.inUse+next.n > s.capacity {
			return
		}
		s.inUse += next.n
		s.heldBy[next.user] += next.n
		s.serveCount++
		s.lastServed[next.user] = s.serveCount
		s.queue = slices.DeleteFunc(s.queue, func(other *slotRequest) bool { return other == next })
		close(next.granted)
	}
}

// next returns the request that is to be served next; nil: none may be. The caller holds mu.
func (s *Slots) next() (next *slotRequest) {
	for _, r := range s.queue {
		if s.heldBy[r.user]+r.n > s.guaranteed && s.capacity-s.inUse-r.n < s.guaranteed {
			continue
		}
		if next == nil || s.heldBy[r.user] < s.heldBy[next.user] ||
			s.heldBy[r.user] == s.heldBy[next.user] && s.lastServed[r.user] < s.lastServed[next.user] {
			next = r
		}
	}
	return next
}

// InUse returns how many slots are taken.
func (s *Slots) InUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inUse
}

// limitError is the error for a user who gets no slot. The caller holds mu.
func (s *Slots) limitError(user string) error {
	return fmt.Errorf("%w %s: %d of %d slots are in use, %d of them by you (more than %d only while %d stay free): close one, or try again in a minute",
		ErrLimitReached, s.label, s.inUse, s.capacity, s.heldBy[user], s.guaranteed, s.guaranteed)
}

// Quota bounds what each user has at the same time.
type Quota struct {
	label string // for users: what there are too many of
	limit int

	mu     sync.Mutex
	heldBy map[string]int // by user and where; guarded by mu
}

// NewQuota returns a quota of limit for each user.
func NewQuota(what string, limit int) *Quota {
	return &Quota{label: what, limit: limit, heldBy: map[string]int{}}
}

// Acquire counts one more for the user of ctx on a cluster, and returns a function that ends it; ErrLimitReached: there are too many.
// A nil Quota has no limit.
func (q *Quota) Acquire(ctx context.Context, cluster string) (leave func(), err error) {
	if q == nil {
		return func() {}, nil
	}
	key := UserOf(ctx) + "\x00" + cluster
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.heldBy[key] >= q.limit {
		return nil, fmt.Errorf("%w: the limit is %d %s of user %s on one cluster: close one, then try again", ErrLimitReached, q.limit, q.label, UserOf(ctx))
	}
	q.heldBy[key]++
	return sync.OnceFunc(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.heldBy[key]--; q.heldBy[key] == 0 {
			delete(q.heldBy, key)
		}
	}), nil
}
