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
	what  string // for users: what ErrBusy is about
	size  int
	share int           // what a user may always have, and what more than that leaves free
	wait  time.Duration // for a slot; 0: as long as the context, however many wait

	mu      sync.Mutex // guards what follows
	taken   int
	held    map[string]int // by user
	served  map[string]int // by user who holds or awaits something: when they were last given one
	serving int            // counts what was given
	queue   []*slotRequest // in the order of their coming
}

type slotRequest struct {
	user  string
	n     int
	given chan struct{} // closed once it has its slots
}

// maxWaiting is how many requests of one user may wait for slots.
const maxWaiting = 16

// NewSlots returns size slots. A request that waits longer than wait gets ErrBusy.
func NewSlots(what string, size int, wait time.Duration) *Slots {
	return &Slots{what: what, size: size, share: max(1, size/3), wait: wait, held: map[string]int{}, served: map[string]int{}}
}

// Take takes n slots at once for the user of ctx, and returns a function that gives them back. It waits for them, and
// returns ErrBusy after that, or when too many requests of the user wait already.
func (s *Slots) Take(ctx context.Context, n int) (leave func(), err error) {
	r := &slotRequest{user: UserOf(ctx), n: n, given: make(chan struct{})}
	s.mu.Lock()
	waiting := 0
	for _, other := range s.queue {
		if other.user == r.user {
			waiting++
		}
	}
	s.queue = append(s.queue, r)
	s.give()
	if !r.has() && s.wait > 0 && waiting >= maxWaiting {
		s.drop(r)
		err = s.busy(r.user)
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.await(ctx, r)
}

func (s *Slots) await(ctx context.Context, r *slotRequest) (leave func(), err error) {
	var late <-chan time.Time
	if s.wait > 0 {
		timer := time.NewTimer(s.wait)
		defer timer.Stop()
		late = timer.C
	}
	leave = sync.OnceFunc(func() { s.leave(r) })
	select {
	case <-r.given:
		return leave, nil
	case <-late:
	case <-ctx.Done():
		if err = context.Cause(ctx); errors.Is(err, context.DeadlineExceeded) {
			err = nil // time is up here too
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.has() && err == nil {
		return leave, nil
	}
	if err == nil {
		err = s.busy(r.user)
	}
	if r.has() {
		s.giveBack(r)
	} else {
		s.drop(r)
	}
	s.give()
	return nil, err
}

// has reports whether r has its slots. They are given under Slots.mu.
func (r *slotRequest) has() bool {
	select {
	case <-r.given:
		return true
	default:
		return false
	}
}

func (s *Slots) leave(r *slotRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBack(r)
	s.give()
}

// giveBack takes the slots of r back. The caller holds mu.
func (s *Slots) giveBack(r *slotRequest) {
	s.taken -= r.n
	if s.held[r.user] -= r.n; s.held[r.user] == 0 {
		delete(s.held, r.user)
	}
	s.forget(r.user)
}

// drop takes r out of the queue. The caller holds mu.
func (s *Slots) drop(r *slotRequest) {
	s.queue = slices.DeleteFunc(s.queue, func(other *slotRequest) bool { return other == r })
	s.forget(r.user)
}

// forget removes what is remembered of a user who neither has nor awaits anything. The caller holds mu.
func (s *Slots) forget(user string) {
	if s.held[user] == 0 && !slices.ContainsFunc(s.queue, func(r *slotRequest) bool { return r.user == user }) {
		delete(s.served, user)
	}
}

// give gives free slots to waiting requests. If the next request needs more slots than are free, all others wait too, so
// that it cannot starve. The caller holds mu.
func (s *Slots) give() {
	for {
		next := s.next()
		if next == nil || s.taken+next.n > s.size {
			return
		}
		s.taken += next.n
		s.held[next.user] += next.n
		s.serving++
		s.served[next.user] = s.serving
		s.queue = slices.DeleteFunc(s.queue, func(other *slotRequest) bool { return other == next })
		close(next.given)
	}
}

// next returns the request that is to be served next; nil: none may be. The caller holds mu.
func (s *Slots) next() (next *slotRequest) {
	for _, r := range s.queue {
		if s.held[r.user]+r.n > s.share && s.size-s.taken-r.n < s.share {
			continue
		}
		if next == nil || s.held[r.user] < s.held[next.user] ||
			s.held[r.user] == s.held[next.user] && s.served[r.user] < s.served[next.user] {
			next = r
		}
	}
	return next
}

// Taken returns how many slots are taken.
func (s *Slots) Taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// busy is the error for a user who gets no slot. The caller holds mu.
func (s *Slots) busy(user string) error {
	return fmt.Errorf("%w %s: %d of %d slots are in use, %d of them by you (more than %d only while %d stay free): close one, or try again in a minute",
		ErrBusy, s.what, s.taken, s.size, s.held[user], s.share, s.share)
}

// Quota bounds what each user has at the same time.
type Quota struct {
	what  string // for users: what there are too many of
	limit int

	mu   sync.Mutex
	held map[string]int // by user and where; guarded by mu
}

// NewQuota returns a quota of limit for each user.
func NewQuota(what string, limit int) *Quota {
	return &Quota{what: what, limit: limit, held: map[string]int{}}
}

// Take counts one more for the user of ctx on a cluster, and returns a function that ends it; ErrBusy: there are too many.
// A nil Quota has no limit.
func (q *Quota) Take(ctx context.Context, cluster string) (leave func(), err error) {
	if q == nil {
		return func() {}, nil
	}
	key := UserOf(ctx) + "\x00" + cluster
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[key] >= q.limit {
		return nil, fmt.Errorf("%w: the limit is %d %s of user %s on one cluster: close one, then try again", ErrBusy, q.limit, q.what, UserOf(ctx))
	}
	q.held[key]++
	return sync.OnceFunc(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.held[key]--; q.held[key] == 0 {
			delete(q.held, key)
		}
	}), nil
}
