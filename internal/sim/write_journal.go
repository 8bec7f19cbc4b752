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

// note writes a request down and returns a writer that adds the status of its answer.
func (j *journal) note(w http.ResponseWriter, r *http.Request) *notedWriter {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.writes = append(j.writes, Write{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Body: slices.Clip(body)})
	return &notedWriter{ResponseWriter: w, j: j, at: len(j.writes) - 1}
}

// notedWriter writes the answer to an order, or drops it.
type notedWriter struct {
	http.ResponseWriter
	j     *journal
	at    int
	taken bool // the order has got past the faults
	lost  bool // its answer is dropped
	done  bool
}

func (w *notedWriter) WriteHeader(status int) {
	w.answered(status)
	if !w.lost {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *notedWriter) Write(p []byte) (int, error) {
	w.answered(http.StatusOK)
	if w.lost {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// answered notes the first status of the answer.
func (w *notedWriter) answered(status int) {
	if w.done {
		return
	}
	w.done = true
	w.j.mu.Lock()
	defer w.j.mu.Unlock()
	if w.at >= len(w.j.writes) {
		return // forgotten meanwhile
	}
	noted := &w.j.writes[w.at]
	noted.Applied = w.taken && status == http.StatusOK
	if !w.lost {
		noted.Status = status
	}
}

func (w *notedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
