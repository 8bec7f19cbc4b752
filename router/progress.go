package router

import (
	"io"
	"sync"
	"time"
)

// Progress shows what is being waited for when it takes longer than a second, and only on a terminal: anywhere else
// it would be a line too many. done takes it away again and returns after that;
// it may be called twice.
func (r *Request) Progress(what string) (done func()) {
	if r.Terminal == nil {
		return func() {}
	}
	var mu sync.Mutex
	shown, over := false, false
	timer := time.AfterFunc(time.Second, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			shown = true
			io.WriteString(r.StatusWriter(), what+"...")
		}
	})
	return sync.OnceFunc(func() {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		if shown {
			io.WriteString(r.StatusWriter(), "\r\x1b[K")
		}
		over = true
	})
}
