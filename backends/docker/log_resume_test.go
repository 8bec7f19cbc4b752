package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nomadctld/backends"
)

// logDaemon is a daemon with one container that has written 3 lines to stdout and then 100 to stderr. It cuts the first
// follow request after some entries. Then the container has stopped or is removed, or its log was rotated.
type logDaemon struct {
	cutAfter int
	removed  bool
	rotated  int

	followed atomic.Int32
}

func (d *logDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	base := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	switch {
	case strings.HasSuffix(r.URL.Path, "/version"):
		fmt.Fprint(w, `{"ApiVersion":"1.41","MinAPIVersion":"1.24"}`)
	case strings.HasSuffix(r.URL.Path, "/json"):
		fmt.Fprintf(w, `{"Id":"A","Name":"/web-alloc","State":{"Running":%v,"StartedAt":"2026-11-01T00:00:00Z"},
			"Config":{"Labels":{"com.hashicorp.nomad.alloc_id":"alloc"}}}`, !d.removed && d.followed.Load() < 2)
	default:
		q := r.URL.Query()
		follow, tail := q.Get("follow") == "1", 103
		if n, err := strconv.Atoi(q.Get("tail")); err == nil {
			tail = min(n, tail)
		}
		var since time.Time
		if text := q.Get("since"); text != "" {
			seconds, nanos, _ := strings.Cut(text, ".")
			s, _ := strconv.ParseInt(seconds, 10, 64)
			n, _ := strconv.ParseInt(nanos, 10, 64)
			since = time.Unix(s, n)
		}
		if d.removed && !follow && d.followed.Load() > 0 {
			http.Error(w, `{"message":"No such container: A"}`, http.StatusNotFound)
			return
		}
		cut := follow && d.followed.Add(1) == 1 && !d.removed
		sent := 0
		for i := 103 - tail; i < 103 && !(cut && sent == d.cutAfter); i++ {
			at, stream, line := base.Add(time.Duration(i)*time.Millisecond), byte(1), fmt.Sprintf("out %d\n", i)
			if i >= 3 {
				stream, line = 2, fmt.Sprintf("err %d\n", i-3)
			}
			if at.Before(since) || i < d.rotated && d.followed.Load() > 0 && !cut {
				continue
			}
			text := at.Format(timeFormat) + " " + line
			w.Write(framed(stream, text))
			sent++
		}
		w.(http.Flusher).Flush()
		if cut {
			panic(http.ErrAbortHandler)
		}
	}
}

// TestLogResume_RotatedLinesReported: only unread lines that were rotated away are reported as lost.
func TestLogResume_RotatedLinesReported(t *testing.T) {
	t.Parallel()
	for rotated, want := range map[int]int{0: 0, 10: 0, 49: 0, 50: 1, 70: 1} {
		server := httptest.NewServer(&logDaemon{cutAfter: 50, rotated: rotated})
		defer server.Close()
		d := mustOpen(t, Settings{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://")})
		d.timeouts.firstLogRetry = time.Millisecond
		gaps, lines := 0, 0
		err := d.Log(t.Context(), backends.TaskRef{Allocation: backends.Allocation{ID: "alloc"}, Task: "web"},
			backends.LogQuery{Stdout: true, Stderr: true, Lines: -1, Follow: true}, func(p backends.LogChunk) error {
				if p.Lost {
					gaps++
				}
				lines += bytes.Count(p.Data, newline)
				return nil
			})
		if missing := max(0, rotated-50); gaps != want || lines != 103-missing || err != nil {
			t.Errorf("from %d on: got %d gaps and %d lines, %v, want %d and %d", rotated, gaps, lines, err, want,
				103-missing)
		}
	}
}

// TestLogResume_ExactAtAnyCut cuts the log at every entry, also before the first line and within unwanted lines.
func TestLogResume_ExactAtAnyCut(t *testing.T) {
	t.Parallel()
	for _, removed := range []bool{false, true} {
		for _, lines := range []int{-1, 0, 2, 100, 102, 1000} {
			for _, cutAfter := range []int{0, 1, 3, 50, 102, 103} {
				server := httptest.NewServer(&logDaemon{cutAfter: cutAfter, removed: removed})
				defer server.Close()
				d := mustOpen(t, Settings{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://")})
				d.timeouts.firstLogRetry = time.Millisecond
				var out, errs, container string
				q := backends.LogQuery{Stdout: true, Stderr: true, Lines: lines, Follow: true}
				err := d.Log(t.Context(), backends.TaskRef{Allocation: backends.Allocation{ID: "alloc"}, Task: "web"},
					q, func(p backends.LogChunk) error {
						if p.CaughtUp {
							container += p.Container
						}
						if p.Lost {
							t.Errorf("removed %v, %d lines, cut after %d: lines are reported as lost", removed, lines,
								cutAfter)
						}
						if p.Stderr {
							errs += string(p.Data)
						} else {
							out += string(p.Data)
						}
						return nil
					})
				var wantOut, wantErrs string
				for i := range 103 { // stdout is written first
					switch {
					case lines >= 0 && 103-i > lines:
					case i < 3:
						wantOut += fmt.Sprintf("out %d\n", i)
					default:
						wantErrs += fmt.Sprintf("err %d\n", i-3)
					}
				}
				if out != wantOut || errs != wantErrs || container != "A" || err != nil {
					t.Errorf("removed %v, %d lines, cut after %d: got %q, %d bytes of stderr, "+
						"container %q, %v, want %q and %d",
						removed, lines, cutAfter, out, len(errs), container, err, wantOut, len(wantErrs))
				}
			}
		}
	}
}

func TestLog_WaitsForNextContainer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&logDaemon{cutAfter: 200})
	defer server.Close()
	d := mustOpen(t, Settings{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://")})
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errWriteFailed)
	defer cancel()
	q := backends.LogQuery{Stdout: true, Lines: -1, Follow: true, AfterContainer: "A"}
	err := d.Log(ctx, backends.TaskRef{Allocation: backends.Allocation{ID: "alloc"}, Task: "web"}, q,
		func(p backends.LogChunk) error {
			t.Errorf("got %+v", p)
			return nil
		})
	if !errors.Is(err, errWriteFailed) {
		t.Errorf("got %v", err)
	}
}
