package nomad

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

func asUser(user string) context.Context { return backends.WithUser(context.Background(), user) }

func TestFairSlots_UserLeavesAThird(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFairSlots("through Nomad", 24, 5*time.Second)
		var releases []func()
		for {
			begin := time.Now()
			release, err := s.Acquire(asUser("ann"), 1)
			if err != nil {
				if time.Since(begin) != 5*time.Second {
					t.Errorf("refused after %s, want 5s", time.Since(begin))
				}
				want := "too many programs or logs are open through Nomad: 16 of 24 slots are in use, 16 of them by you " +
					"(a user may have more than 8 slots only while at least 8 stay free); close one or retry in a minute"
				if !errors.Is(err, backends.ErrLimitReached) || err.Error() != want {
					t.Errorf("got %v, want %s", err, want)
				}
				break
			}
			releases = append(releases, release)
		}
		if len(releases) != 16 {
			t.Errorf("ann has %d of 24 slots, want 16", len(releases))
		}
		begin := time.Now()
		for range 8 {
			if _, err := s.Acquire(asUser("bob"), 1); err != nil {
				t.Error(err)
			}
		}
		if time.Since(begin) != 0 {
			t.Errorf("bob waited for %s", time.Since(begin))
		}
		if _, err := s.Acquire(asUser("eve"), 1); !errors.Is(err, backends.ErrLimitReached) {
			t.Errorf("got %v", err)
		}
		releases[0]()
		releases[0]() // a second call has no effect
		if s.InUse() != 23 {
			t.Errorf("%d are taken, want 23", s.InUse())
		}
	})
}

func TestFairSlots_RoundRobinByUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFairSlots("", 3, time.Hour)
		var first []func()
		for _, user := range []string{"x", "y", "z"} {
			release, err := s.Acquire(asUser(user), 1)
			if err != nil {
				t.Fatal(err)
			}
			first = append(first, release)
		}
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		request := func(user string) {
			all.Go(func() {
				release, err := s.Acquire(asUser(user), 1)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, user)
				mu.Unlock()
				time.Sleep(time.Second)
				release()
			})
			synctest.Wait()
		}
		for range 5 {
			request("ann")
		}
		request("bob")
		request("bob")
		request("eve")
		first[0]() // one free slot for all; y and z keep their slots
		all.Wait()
		if got := strings.Join(order, " "); got != "ann bob eve ann bob ann ann ann" {
			t.Errorf("served %s", got)
		}
	})
}

func TestFairSlots_MaxWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFairSlots("", 1, time.Hour)
		release, err := s.Acquire(asUser("x"), 1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(asUser("ann"))
		over := errors.New("over")
		var all sync.WaitGroup
		for range maxWaiting {
			all.Go(func() {
				if _, err := s.Acquire(ctx, 1); err != over {
					t.Errorf("got %v, want %v", err, over)
				}
			})
		}
		synctest.Wait()
		if _, err := s.Acquire(asUser("ann"), 1); !errors.Is(err, backends.ErrLimitReached) {
			t.Errorf("one more: got %v", err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			if release, err := s.Acquire(asUser("bob"), 1); err != nil {
				t.Errorf("another user: %v", err)
			} else {
				release()
			}
		}()
		synctest.Wait()
		cancel(over)
		all.Wait()
		release()
		<-served
		if s.InUse() != 0 || len(s.queue)+len(s.usedBy)+len(s.lastServed) != 0 {
			t.Errorf("left over: %d taken, %d waiting, %v, %v", s.InUse(), len(s.queue), s.usedBy, s.lastServed)
		}
	})
}

// TestFairSlots_NoStarvation has users with many and with few requests, for one slot and for two, at random times.
func TestFairSlots_NoStarvation(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			s := newFairSlots("", 6, 0)
			var all sync.WaitGroup
			longest := map[string]time.Duration{}
			var mu sync.Mutex
			for user := range 4 {
				for range 1 + user*4 { // the first has one request at a time, the last thirteen
					n, pause := 1+random.IntN(2), time.Duration(random.IntN(1000))*time.Millisecond
					name := fmt.Sprint("user", user)
					all.Go(func() {
						for range 30 {
							time.Sleep(pause)
							begin := time.Now()
							release, err := s.Acquire(asUser(name), n)
							if err != nil {
								t.Error(err)
								return
							}
							mu.Lock()
							longest[name] = max(longest[name], time.Since(begin))
							s.mu.Lock()
							if s.inUse > s.capacity || s.usedBy[name] > s.capacity-s.fairShare && s.usedBy[name] > s.fairShare {
								t.Errorf("%d of %d are taken, %d by %s", s.inUse, s.capacity, s.usedBy[name], name)
							}
							s.mu.Unlock()
							mu.Unlock()
							time.Sleep(time.Second)
							release()
						}
					})
				}
			}
			all.Wait()
			if longest["user0"] > 3*time.Second {
				t.Errorf("seed %d: the user with one request waited up to %s", seed, longest["user0"])
			}
			if s.inUse != 0 || len(s.usedBy)+len(s.lastServed)+len(s.queue) != 0 {
				t.Errorf("seed %d: slots or requests are left", seed)
			}
		})
	}
}

// TestFairSlots_Position expects the position in the queue after a second of waiting, in the order of the round robin.
func TestFairSlots_Position(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFairSlots("", 1, 5*time.Second)
		release, err := s.Acquire(asUser("zoe"), 1)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		got := map[string]backends.SlotWait{}
		var all sync.WaitGroup
		for _, name := range []string{"ann", "bob 1", "bob 2", "eve"} {
			user, _, _ := strings.Cut(name, " ")
			ctx := backends.WithSlotWait(asUser(user), func(w backends.SlotWait) {
				mu.Lock()
				defer mu.Unlock()
				got[name] = w
			})
			all.Go(func() {
				if done, err := s.Acquire(ctx, 1); err == nil {
					done()
				}
			})
			synctest.Wait()
		}
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if len(got) > 0 {
			t.Errorf("got %v before a second has passed", got)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		want := map[string]backends.SlotWait{}
		for i, name := range []string{"ann", "bob 1", "eve", "bob 2"} {
			want[name] = backends.SlotWait{Position: i + 1, Waiting: 4}
		}
		if !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		clear(got)
		release()
		all.Wait()
		if _, err := s.Acquire(backends.WithSlotWait(asUser("ann"), func(w backends.SlotWait) { got["late"] = w }),
			1); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if len(got) > 0 {
			t.Errorf("got %v for a request that did not wait", got)
		}
	})
}
