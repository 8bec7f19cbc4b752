package console

import (
	"io"
	"sync"
	"time"
)

// ShowActivity prints what the command is waiting for, if it takes longer than a second and the client has a terminal.
// done erases it and may be called twice.
func (c *Console) ShowActivity(activity string) (done func()) {
	if !c.Terminal.interpretsEscapes() {
		return func() {}
	}
	var mu sync.Mutex
	shown, finished := false, false
	timer := time.AfterFunc(time.Second, func() {
		mu.Lock()
		defer mu.Unlock()
		if !finished {
			shown = true
			io.WriteString(c.StatusWriter(), activity+"...")
		}
	})
	return sync.OnceFunc(func() {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		if shown {
			io.WriteString(c.StatusWriter(), "\r\x1b[K")
		}
		finished = true
	})
}
