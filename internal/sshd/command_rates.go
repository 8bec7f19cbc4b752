package sshd

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// commandRates limits the commands per minute of users and prefix groups. The zero value is ready to use.
type commandRates struct {
	mu       sync.Mutex
	limiters map[subject]*rate.Limiter // guarded by mu; an absent one has all its tokens
}

// maxIdleRates is the number of limiters above which those with all their tokens are deleted.
const maxIdleRates = 1024

// take counts a command for all subjects. If one of them has reached its limit, it counts nothing, and returns that
// subject and the time after which a command is possible. perMinute returns the limit of a subject; 0 is none.
func (r *commandRates) take(subjects []subject, perMinute func(subject) int) (over subject, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	var limited []*rate.Limiter
	for _, s := range subjects {
		n := perMinute(s)
		if n == 0 {
			continue
		}
		l := r.limiter(s, n, now)
		if missing := 1 - l.TokensAt(now); missing > 0 {
			return s, time.Duration(missing / float64(l.Limit()) * float64(time.Second))
		}
		limited = append(limited, l)
	}
	for _, l := range limited {
		l.AllowN(now, 1)
	}
	return subject{}, 0
}

// limiter returns the limiter of a subject, with its current limit. The caller holds mu.
func (r *commandRates) limiter(s subject, n int, now time.Time) *rate.Limiter {
	every := rate.Every(time.Minute / time.Duration(n))
	if l := r.limiters[s]; l != nil {
		if l.Burst() != n { // the configuration has changed
			l.SetLimitAt(now, every)
			l.SetBurstAt(now, n)
		}
		return l
	}
	if r.limiters == nil {
		r.limiters = map[subject]*rate.Limiter{}
	}
	if len(r.limiters) >= maxIdleRates {
		for other, l := range r.limiters {
			if l.TokensAt(now) >= float64(l.Burst()) {
				delete(r.limiters, other)
			}
		}
	}
	l := rate.NewLimiter(every, n)
	r.limiters[s] = l
	return l
}
