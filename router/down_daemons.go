package router

import (
	"sync"
	"time"

	"nomadctld/backends"
)

// daemonRetryInterval is the time until a daemon that did not respond is tried again. Behind a firewall, an attempt
// takes seconds to fail.
const daemonRetryInterval = 30 * time.Second

// downDaemons are daemons that recently did not respond. The zero value is empty.
type downDaemons struct {
	mu      sync.Mutex
	daemons map[daemonKey]downDaemon // guarded by mu
}

// daemonKey identifies the daemon of a container runtime on a node. A later configuration that changes the settings of
// the runtime creates a new runtime, and so a new key.
type daemonKey struct {
	runtime backends.ContainerRuntime
	nodeID  string
}

// downDaemon is a daemon that did not respond.
type downDaemon struct {
	since time.Time
	err   error
}

// lastError returns the last error of a daemon that recently did not respond, or nil.
func (d *downDaemons) lastError(key daemonKey) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if daemon := d.daemons[key]; time.Since(daemon.since) < daemonRetryInterval {
		return daemon.err
	}
	return nil
}

// add records that a daemon did not respond, and removes outdated entries.
func (d *downDaemons) add(key daemonKey, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.daemons == nil {
		d.daemons = map[daemonKey]downDaemon{}
	}
	for other, daemon := range d.daemons {
		if time.Since(daemon.since) > daemonRetryInterval {
			delete(d.daemons, other)
		}
	}
	d.daemons[key] = downDaemon{time.Now(), err}
}
