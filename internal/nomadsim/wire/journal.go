package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
)

// Write is a received request to change the state.
type Write struct {
	Method  string // PUT (including POST) or DELETE
	Path    string
	Query   string          // unchanged
	Body    json.RawMessage // as received; empty if there was none
	Status  int             // of the response; 0: the connection was closed without one
	Applied bool            // the request succeeded, even if its response was lost
}

type journal struct {
	mu     sync.Mutex // guards writes
	writes []Write
}

// Writes returns all received write requests in order, including refused ones and those without a response yet.
func (c *Controls) Writes() []Write {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	return slices.Clone(c.journal.writes)
}

// ForgetWrites clears the list that Writes returns.
func (c *Controls) ForgetWrites() {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	c.journal.writes = nil
}

// record adds a request to the journal and returns a writer that adds the status of its response.
func (j *journal) record(w http.ResponseWriter, r *http.Request) *journalWriter {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.writes = append(j.writes, Write{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Body: slices.Clip(body)})
	return &journalWriter{ResponseWriter: w, journal: j, index: len(j.writes) - 1}
}

// journalWriter records the status of a response, and drops the response if dropped is set.
type journalWriter struct {
	http.ResponseWriter
	journal  *journal
	index    int
	executed bool // no failure has refused the request
	dropped  bool // the response is dropped
	done     bool
}

func (w *journalWriter) WriteHeader(status int) {
	w.recordStatus(status)
	if !w.dropped {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *journalWriter) Write(p []byte) (int, error) {
	w.recordStatus(http.StatusOK)
	if w.dropped {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// recordStatus records the first status of the response.
func (w *journalWriter) recordStatus(status int) {
	if w.done {
		return
	}
	w.done = true
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	if w.index >= len(w.journal.writes) {
		return // ForgetWrites was called in between
	}
	entry := &w.journal.writes[w.index]
	entry.Applied = w.executed && status == http.StatusOK
	if !w.dropped {
		entry.Status = status
	}
}

func (w *journalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
