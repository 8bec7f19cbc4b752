package clusterview

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestReadCoalescer_FreshResults has 20 callers of a read that takes a second. Callers that arrive while it is running
// share the next one.
func TestReadCoalescer_FreshResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rc readCoalescer
		reads := 0
		var callers sync.WaitGroup
		for i := range 20 {
			callers.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				asked := time.Now()
				read, err := coalesceRead(t.Context(), &rc, "key", func(context.Context) (time.Time, error) {
					startedAt := time.Now()
					reads++
					time.Sleep(time.Second)
					return startedAt, nil
				})
				if err != nil || read.Before(asked) {
					t.Errorf("caller %d: asked at %v, got what was read at %v, %v", i, asked, read, err)
				}
			})
		}
		callers.Wait()
		if reads != 3 {
			t.Errorf("got %d reads, want 3", reads)
		}
		if len(rc.queues) != 0 {
			t.Errorf("got %d queues at the end", len(rc.queues))
		}
	})
}

func TestReadCoalescer_MaxReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rc readCoalescer
		var mu sync.Mutex
		running, maxRunning := 0, 0
		var callers sync.WaitGroup
		for i := range 50 {
			callers.Go(func() {
				_, _ = coalesceRead(t.Context(), &rc, fmt.Sprint(i), func(context.Context) (int, error) {
					mu.Lock()
					running++
					maxRunning = max(maxRunning, running)
					mu.Unlock()
					time.Sleep(time.Second)
					mu.Lock()
					running--
					mu.Unlock()
					return 0, nil
				})
			})
		}
		callers.Wait()
		if maxRunning != maxReads {
			t.Errorf("%d reads ran at the same time, want %d", maxRunning, maxReads)
		}
	})
}

// TestReadCoalescer_CallersCancel checks that a read continues while it has callers, that it is canceled when the last
// one leaves, and that a read without callers is not started.
func TestReadCoalescer_CallersCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rc readCoalescer
		var started []string
		read := func(name string) func(context.Context) (string, error) {
			return func(ctx context.Context) (string, error) {
				started = append(started, name)
				select {
				case <-time.After(10 * time.Second):
					return name, nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			}
		}
		call := func(name string, timeout time.Duration) chan error {
			result := make(chan error, 1)
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			go func() {
				defer cancel()
				value, err := coalesceRead(ctx, &rc, "key", read(name))
				if err == nil && value == "" {
					err = errors.New("no value")
				}
				result <- err
			}()
			synctest.Wait()
			return result
		}
		a, b := call("first", time.Second), call("second", time.Second)
		c := call("third", time.Minute)
		if err := <-a; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("first: %v", err)
		}
		if err := <-b; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("second: %v", err)
		}
		if err := <-c; err != nil {
			t.Errorf("third: %v", err)
		}
		if want := []string{"first", "second"}; !slices.Equal(started, want) { // third has joined the second read
			t.Errorf("started %q, want %q", started, want)
		}
		d := call("fourth", time.Hour)
		e := call("fifth", time.Second)
		if err := <-e; err == nil {
			t.Error("fifth: no error")
		}
		if err := <-d; err != nil {
			t.Errorf("fourth: %v", err)
		}
		synctest.Wait()
		if slices.Contains(started, "fifth") {
			t.Error("a read was started for which nobody waited")
		}
	})
}
