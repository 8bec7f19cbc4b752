package router

import (
	"context"
	"sync"
	"time"

	"nomadctld/backends"
)

// slotWaitInterval is the minimum time between two reports to one command.
const slotWaitInterval = 30 * time.Second

// reportWaits prints the position in the queue if a command waits for a slot of a cluster.
func reportWaits(next Handler) Handler {
	return func(ctx context.Context, req *Request) error {
		var mu sync.Mutex
		finished := false
		var reported time.Time
		defer func() { // a shared log stream may outlive the command
			mu.Lock()
			defer mu.Unlock()
			finished = true
		}()
		return next(backends.WithSlotWait(ctx, func(w backends.SlotWait) {
			mu.Lock()
			defer mu.Unlock()
			if finished || !reported.IsZero() && time.Since(reported) < slotWaitInterval {
				return
			}
			reported = time.Now()
			req.Console.Statusf("waiting for a free slot on the cluster: position %d of %d", w.Position, w.Waiting)
		}), req)
	}
}
