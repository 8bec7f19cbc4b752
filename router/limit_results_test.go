package router

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/internal/audit"
)

func TestResultSlots_LimitPerUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m resultSlots
		var releases []func()
		for range maxResults {
			release, err := m.acquire(t.Context(), "ann")
			if err != nil {
				t.Fatal(err)
			}
			releases = append(releases, release)
		}
		begun := time.Now()
		if _, err := m.acquire(t.Context(), "ann"); ExitCode(err) != CodeTryLater ||
			!strings.Contains(err.Error(), "4 of your commands") {
			t.Errorf("above the limit: got %v", err)
		}
		if waited := time.Since(begun); waited != resultSlotTimeout {
			t.Errorf("it waited %s", waited)
		}
		release, err := m.acquire(t.Context(), "wim")
		if err != nil || time.Since(begun) != resultSlotTimeout {
			t.Errorf("another user: got %v after %s", err, time.Since(begun))
		}
		release()
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		time.AfterFunc(time.Second, func() { cancel(gone) })
		if _, err := m.acquire(ctx, "ann"); err != gone {
			t.Errorf("a disconnected client: got %v", err)
		}
		time.AfterFunc(time.Second, releases[0])
		again, err := m.acquire(t.Context(), "ann")
		if err != nil {
			t.Errorf("after one has finished: got %v", err)
		}
		releases[0]() // a second call: another command has the slot now
		if n := len(m.users["ann"].slots); n != maxResults {
			t.Errorf("%d slots are in use, want %d", n, maxResults)
		}
		again()
		for _, release := range releases[1:] {
			release()
		}
		if len(m.users) > 0 {
			t.Errorf("got %d users at the end", len(m.users))
		}
	})
}

func TestLimitResults_RefusalIsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestGateway()
		finish := make(chan struct{})
		register(t, Spec{Name: "probe", Target: TargetScope}, func(context.Context, *Request) error { <-finish; return nil })
		handler := w.Handler()
		do := func() error {
			return handler(t.Context(), &Request{
				Session: Session{Login: "ann", Key: testKey, ID: "c-1", Line: "probe"},
				Console: w.console(),
			})
		}
		for range maxResults {
			go do()
		}
		synctest.Wait()
		w.allEvents(t)
		if err := do(); ExitCode(err) != CodeTryLater {
			t.Errorf("got %v", err)
		}
		if e := w.event(t); e.Decision != audit.Failed {
			t.Errorf("got the decision %q, want %q", e.Decision, audit.Failed)
		}
		close(finish)
		synctest.Wait()
	})
}
