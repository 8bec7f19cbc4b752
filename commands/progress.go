package commands

import (
	"io"
	"sync"
	"time"

	"nomadctld/router"
)

// progress shows what is being waited for when it takes longer than a second, and only on a terminal: anywhere else
// it would be a line too many. done takes it away again and returns after that;
// it may be called twice.
func progress(req *router.Request, what string) (done func()) {
	if req.Terminal == nil {
		return func() {}
	}
	var mu sync.Mutex
	shown, over := false, false
	timer := time.AfterFunc(time.Second, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			shown = true
			io.WriteString(req.Stderr, what+"...")
		}
	})
	return sync.OnceFunc(func() {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		if shown {
			io.WriteString(req.Stderr, "\r\x1b[K")
		}
		over = true
	})
}
