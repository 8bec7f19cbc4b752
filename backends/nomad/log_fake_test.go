package nomad

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// kept is a log as Nomad keeps it, in files of which the oldest go, and sends it: frames joined while they wait, with the
// offset of their first piece.
type kept struct {
	mu    sync.Mutex
	files map[int][]byte
	first int
	last  int
	most  int // bytes of a file
	keep  int // files; 0: all
	cut   int // each so many frames on average, and within twice as many, a followed log is cut; 0: never
	clean bool
	asked int
	sent  int64

	frames   int   // until the next cut
	made     int   // cuts that were made
	cuts     int   // since something new was sent
	furthest int64 // the end of what was sent, from the log's beginning
}

// mostCuts is how often a log is cut before something new is sent, so that chance cannot use up the reader's patience.
const mostCuts = 3

func (k *kept) write(b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(b) > 0 {
		if len(k.files[k.last]) >= k.most {
			k.last++
		}
		n := min(len(b), k.most-len(k.files[k.last]))
		k.files[k.last] = append(k.files[k.last], b[:n]...)
		b = b[n:]
	}
	for k.keep > 0 && k.last-k.first >= k.keep {
		delete(k.files, k.first)
		k.first++
	}
}

// cutNow reports, once for each frame, whether the log is cut instead of it.
func (k *kept) cutNow() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.frames--; k.frames > 0 {
		return false
	}
	k.frames = 1 + rand.IntN(2*k.cut-1)
	if k.cuts++; k.cuts > mostCuts {
		return false
	}
	k.made++
	return true
}

// from returns where a request begins.
func (k *kept) from(origin string, offset int64) (file int, at int64) {
	if origin == "start" {
		return k.first, 0 // all that this package asks for
	}
	for file = k.last; ; file-- {
		if size := int64(len(k.files[file])); offset <= size {
			return file, size - offset
		} else if file == k.first {
			return file, 0
		} else {
			offset -= size
		}
	}
}

func (k *kept) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	offset, _ := strconv.ParseInt(q.Get("offset"), 10, 64)
	follow := q.Get("follow") == "true"
	k.mu.Lock()
	k.asked++
	file, at := k.from(q.Get("origin"), offset)
	last := k.last
	k.mu.Unlock()
	var data []byte
	var name string
	var mark, end int64 // end is that of data, from the log's beginning
	out := http.NewResponseController(w)
	flush := func(n int) bool {
		if n == 0 {
			return true
		}
		if k.cut > 0 && follow && k.cutNow() {
			if !k.clean {
				panic(http.ErrAbortHandler)
			}
			return false
		}
		b, _ := json.Marshal(api.StreamFrame{Data: data[:n], File: "alloc/logs/" + name, Offset: mark})
		w.Write(b)
		out.Flush()
		data, mark = data[n:], mark+int64(n)
		k.mu.Lock()
		k.sent += int64(n)
		if sent := end - int64(len(data)); sent > k.furthest {
			k.furthest, k.cuts = sent, 0
		}
		k.mu.Unlock()
		return true
	}
	for quiet := 0; r.Context().Err() == nil; {
		k.mu.Lock()
		if file < k.first {
			file, at = k.first, 0
		}
		piece := bytes.Clone(k.files[file][at:min(int64(len(k.files[file])), at+frameSize)])
		next := file < k.last
		k.mu.Unlock()
		at += int64(len(piece))
		if len(piece) > 0 {
			quiet = 0
			if this := fmt.Sprintf("%s.%s.%d", q.Get("task"), q.Get("type"), file); len(data) == 0 || this != name {
				if !flush(len(data)) {
					return
				}
				name, mark = this, at
			}
			data, end = append(data, piece...), int64(file)*int64(k.most)+at
			for len(data) >= frameSize {
				if !flush(frameSize) {
					return
				}
			}
			continue
		}
		switch {
		case next && (follow || file < last):
			if !flush(len(data)) {
				return
			}
			file, at = file+1, 0
			continue
		case !follow:
			flush(len(data))
			return
		}
		if quiet++; quiet%3 == 0 && !flush(len(data)) {
			return
		} else if quiet%10 == 0 {
			w.Write([]byte("{}"))
			out.Flush()
		}
		time.Sleep(time.Millisecond)
	}
}

// logOf returns a client of a cluster that has this log only.
func logOf(t *testing.T, k *kept) (*Client, backends.TaskRef) {
	t.Helper()
	if k.files == nil {
		k.files = map[int][]byte{}
	}
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	return open(t, Tier{URL: server.URL}), backends.TaskRef{Task: "web", Allocation: backends.Allocation{ID: "a", Status: "running"}}
}
