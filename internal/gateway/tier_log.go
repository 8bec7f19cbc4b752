package gateway

import (
	"log/slog"
	"sync"
	"time"

	"nomadctld/backends/nomad"
)

// tierLog logs each change of the state of a tier once. The gateway notices a change when a command reads the tier.
type tierLog struct {
	log *slog.Logger

	mu     sync.Mutex
	states map[string]loggedState // by tier; guarded by mu
}

// loggedState is the last state that was logged for a tier.
type loggedState struct {
	state nomad.TierState
	since time.Time
}

var tierMessages = map[nomad.TierState]string{
	nomad.TierUp:           "tier is back",
	nomad.TierDown:         "tier is down",
	nomad.TierTokenRefused: "tier refuses the gateway's token",
	nomad.TierTokenMissing: "the token file of a tier cannot be read",
}

func newTierLog(log *slog.Logger) *tierLog {
	return &tierLog{log: log, states: map[string]loggedState{}}
}

// observer returns the function that gets the result of each read of a tier.
func (l *tierLog) observer(tier, url string) func(nomad.TierState, time.Time, error) {
	return func(state nomad.TierState, started time.Time, err error) {
		before, changed := l.change(tier, state, started)
		if !changed {
			return
		}
		fields := []any{"tier", tier, "url", url}
		if state == nomad.TierUp {
			fields = append(fields, "was", string(before.state), "for", time.Since(before.since).Round(time.Second).String())
			l.log.Info(tierMessages[state], fields...)
			return
		}
		l.log.Warn(tierMessages[state], append(fields, "error", err)...)
	}
}

// change records a state and reports whether it is a change. A read that started before the last change shows nothing
// new: many reads run at the same time, and a slow one may fail after another has succeeded.
func (l *tierLog) change(tier string, state nomad.TierState, started time.Time) (before loggedState, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.states[tier]
	if !known {
		before = loggedState{state: nomad.TierUp}
	}
	if before.state == state || started.Before(before.since) {
		return before, false
	}
	l.states[tier] = loggedState{state, time.Now()}
	return before, true
}
