package sim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
)

// Write is a request to change something that has reached the cluster.
type Write struct {
	Method  string // PUT, also for a POST, or DELETE
	Path    string
	Query   string          // as it was sent
	Body    json.RawMessage // as it was sent; nil: none
	Status  int             // of the answer; 0: the connection was cut before one
	Applied bool            // it was carried out, whatever the answer was
}

type journal struct {
	mu     sync.Mutex
	writes []Write
}

// Writes returns the requests to change something, refused ones too, in the order in which they came. Those that wait
// for their answer are among them.
func (c *Cluster) Writes() []Write {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	return slices.Clone(c.journal.writes)
}

// ForgetWrites empties what Writes returns.
func (c *Cluster) ForgetWrites() {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	c.journal.writes = nil
}

// record writes a request down and returns a writer that adds the status of its answer.
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

// journalWriter writes the answer to an order, or drops it.
type journalWriter struct {
	http.ResponseWriter
	journal  *journal
	index    int
	executed bool // the order has got past the faults
	dropped  bool // its answer is dropped
	done     bool
}

func (w *journalWriter) WriteHeader(status int) {
	w.answered(status)
	if !w.dropped {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *journalWriter) Write(p []byte) (int, error) {
	w.answered(http.StatusOK)
	if w.dropped {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// answered notes the first status of the answer.
func (w *journalWriter) answered(status int) {
	if w.done {
		return
	}
	w.done = true
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	if w.index >= len(w.journal.writes) {
		return // forgotten meanwhile
	}
	noted := &w.journal.writes[w.index]
	noted.Applied = w.executed && status == http.StatusOK
	if !w.dropped {
		noted.Status = status
	}
}

func (w *journalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
