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

// fakeLog stores a log in files like Nomad, deletes the oldest ones, and serves it in frames. Like Nomad, it joins
// pending frames and reports the offset of the first one.
type fakeLog struct {
	mu          sync.Mutex
	files       map[int][]byte
	first       int
	last        int
	maxFileSize int
	maxFiles    int // 0: unlimited
	cutEvery    int // a followed log is cut after this many frames on average, at most after twice as many; 0: never
	cutCleanly  bool
	requests    int
	sent        int64

	framesUntilCut    int
	cutsMade          int
	cutsSinceProgress int   // since new data was sent
	furthest          int64 // end of the data sent, from the start of the log
}

// maxCuts limits the cuts between new data, so that the reader does not give up by chance.
const maxCuts = 3

func (l *fakeLog) write(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(b) > 0 {
		if len(l.files[l.last]) >= l.maxFileSize {
			l.last++
		}
		n := min(len(b), l.maxFileSize-len(l.files[l.last]))
		l.files[l.last] = append(l.files[l.last], b[:n]...)
		b = b[n:]
	}
	for l.maxFiles > 0 && l.last-l.first >= l.maxFiles {
		delete(l.files, l.first)
		l.first++
	}
}

// cutNow reports whether the log is cut before the next frame.
func (l *fakeLog) cutNow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.framesUntilCut--; l.framesUntilCut > 0 {
		return false
	}
	l.framesUntilCut = 1 + rand.IntN(2*l.cutEvery-1)
	if l.cutsSinceProgress++; l.cutsSinceProgress > maxCuts {
		return false
	}
	l.cutsMade++
	return true
}

// startPos returns the position where a request starts.
func (l *fakeLog) startPos(origin string, offset int64) (file int, at int64) {
	if origin == "start" {
		return l.first, 0 // this package uses no other offset
	}
	for file = l.last; ; file-- {
		if size := int64(len(l.files[file])); offset <= size {
			return file, size - offset
		} else if file == l.first {
			return file, 0
		} else {
			offset -= size
		}
	}
}

func (l *fakeLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	offset, _ := strconv.ParseInt(q.Get("offset"), 10, 64)
	follow := q.Get("follow") == "true"
	l.mu.Lock()
	l.requests++
	file, at := l.startPos(q.Get("origin"), offset)
	last := l.last
	l.mu.Unlock()
	var data []byte
	var name string
	var filePos int64 // in the file, reported by the next frame
	var end int64     // of data, from the start of the log
	out := http.NewResponseController(w)
	flush := func(n int) bool {
		if n == 0 {
			return true
		}
		if l.cutEvery > 0 && follow && l.cutNow() {
			if !l.cutCleanly {
				panic(http.ErrAbortHandler)
			}
			return false
		}
		b, _ := json.Marshal(api.StreamFrame{Data: data[:n], File: "alloc/logs/" + name, Offset: filePos})
		w.Write(b)
		out.Flush()
		data, filePos = data[n:], filePos+int64(n)
		l.mu.Lock()
		l.sent += int64(n)
		if sent := end - int64(len(data)); sent > l.furthest {
			l.furthest, l.cutsSinceProgress = sent, 0
		}
		l.mu.Unlock()
		return true
	}
	for idle := 0; r.Context().Err() == nil; {
		l.mu.Lock()
		if file < l.first {
			file, at = l.first, 0
		}
		chunk := bytes.Clone(l.files[file][at:min(int64(len(l.files[file])), at+frameSize)])
		next := file < l.last
		l.mu.Unlock()
		at += int64(len(chunk))
		if len(chunk) > 0 {
			idle = 0
			if this := fmt.Sprintf("%s.%s.%d", q.Get("task"), q.Get("type"), file); len(data) == 0 || this != name {
				if !flush(len(data)) {
					return
				}
				name, filePos = this, at
			}
			data, end = append(data, chunk...), int64(file)*int64(l.maxFileSize)+at
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
		if idle++; idle%3 == 0 && !flush(len(data)) {
			return
		} else if idle%10 == 0 {
			w.Write([]byte("{}"))
			out.Flush()
		}
		time.Sleep(time.Millisecond)
	}
}

// serveFakeLog returns a client for a cluster with this log only.
func serveFakeLog(t *testing.T, l *fakeLog) (*Client, backends.TaskRef) {
	t.Helper()
	if l.files == nil {
		l.files = map[int][]byte{}
	}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	client := open(t, Tier{URL: server.URL})
	client.retryBackoff = time.Millisecond
	return client, backends.TaskRef{
		Task:       "web",
		Allocation: backends.Allocation{ID: "a", Status: "running"},
	}
}
