// Package wire contains what happens to requests before they reach the API, and to responses after it: injected
// failures, a limit of connections, compression, a journal of writes, and traffic counts. It must not know what the
// requests mean.
package wire

import "net/http"

// Controls let tests inject failures and observe the requests to a cluster. The cluster embeds them, so their methods
// are for tests. Operations that only the API needs are functions.
type Controls struct {
	patterns []string // of all routes
	journal  journal
	failures failures
	meter    trafficMeter
	limiter  limiter
	closed   chan struct{}
}

// New returns controls for an API with these routes. The limit is 100 connections for each client address.
func New(patterns []string) *Controls {
	c := &Controls{patterns: patterns, closed: make(chan struct{})}
	c.limiter.max = 100
	c.meter.reset(patterns)
	return c
}

// Close closes all connections and cancels all waiting requests. It must be called once.
func Close(c *Controls) {
	close(c.closed)
	c.limiter.stop()
}

// Serve serves a request with injected failures and compression, and counts it. pattern is the pattern of its
// route, or "". If changes is set, the request is recorded in the journal.
func Serve(c *Controls, w http.ResponseWriter, r *http.Request, pattern string, changes bool,
	serve func(w http.ResponseWriter),
) {
	w = c.meterRequest(w, pattern)
	journaled := &journalWriter{}
	if changes {
		journaled = c.journal.record(w, r)
		w = journaled
	}
	responded, lost := c.applyFailures(w, r)
	if responded {
		return
	}
	if journaled.executed, journaled.dropped = true, lost; lost {
		w = &journalWriter{ResponseWriter: w, dropped: true, done: true}
		if journaled.journal != nil {
			w = journaled
		}
		defer panic(http.ErrAbortHandler)
	}
	w, finish := compress(w, r)
	serve(w)
	finish() // not deferred: the response of an aborted request must stay incomplete
}

// Refuse responds with an error text.
func Refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(text))
}
