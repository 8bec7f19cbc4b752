package nomad

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv/nomadtest"
)

func readLog(t *testing.T, c *Client, in backends.TaskRef, q backends.LogQuery) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := c.Log(context.Background(), in, q, func(p backends.LogChunk) error {
		out.Write(p.Data)
		return nil
	})
	return out.String(), err
}

func TestLog(t *testing.T) {
	t.Parallel()
	numbered := func(word string, from, to int) string {
		var all strings.Builder
		for i := from; i <= to; i++ {
			fmt.Fprintf(&all, "%s %d\n", word, i)
		}
		return all.String()
	}
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			c, talker := clusterTask(t, cluster, "p-team3-talker", "talk")
			_, once := clusterTask(t, cluster, "p-team3-finished", "once")
			_, crash := clusterTask(t, cluster, "p-team3-crashed", "crash")
			both := backends.LogQuery{Stdout: true, Stderr: true, Lines: -1}
			for _, tc := range []struct {
				in   backends.TaskRef
				q    backends.LogQuery
				want string
			}{
				{talker, both, numbered("out", 1, 150) + numbered("err", 1, 150)},
				{talker, backends.LogQuery{Stderr: true, Lines: -1}, numbered("err", 1, 150)},
				{
					talker,
					backends.LogQuery{Stdout: true, Stderr: true, Lines: 3},
					numbered("out", 150, 150) + numbered("err", 149, 150),
				},
				{
					talker,
					backends.LogQuery{Stdout: true, Stderr: true, Lines: 200},
					numbered("out", 51, 150) + numbered("err", 51, 150),
				},
				{talker, backends.LogQuery{Stdout: true, Stderr: true, Lines: 1}, numbered("err", 150, 150)},
				{talker, backends.LogQuery{Stdout: true, Lines: 150}, numbered("out", 1, 150)},
				{talker, backends.LogQuery{Stdout: true, Lines: 1000}, numbered("out", 1, 150)},
				{talker, backends.LogQuery{Stdout: true, Lines: 0}, ""},
				{once, both, "hello from once\nbye\n"},
				{once, backends.LogQuery{Stdout: true, Stderr: true, Lines: 2}, "hello from once\nbye\n"},
				{crash, both, "attempt\nattempt\n"},
			} {
				if got, err := readLog(t, c, tc.in, tc.q); err != nil || got != tc.want {
					t.Errorf("%s %+v: got %q, %v, want %q", tc.in.Task, tc.q, got, err, tc.want)
				}
			}
			ctx, cancel := context.WithCancelCause(context.Background())
			over := errors.New("over")
			var got bytes.Buffer
			err := c.Log(ctx, talker, backends.LogQuery{Stdout: true, Stderr: true, Lines: 3, Follow: true},
				func(p backends.LogChunk) error {
					if got.Write(p.Data); got.Len() == len("out 150\nerr 149\nerr 150\n") {
						time.AfterFunc(1500*time.Millisecond, func() { cancel(over) })
					}
					return nil
				})
			if err != over || len(got.String()) != 24 || !strings.Contains(got.String(), numbered("err", 149, 150)) {
				t.Errorf("followed: got %q, %v", got.String(), err)
			}
			stop := errors.New("stop")
			if err := c.Log(context.Background(), talker, both, func(backends.LogChunk) error { return stop }); err != stop {
				t.Errorf("got %v, want the callback's error", err)
			}
			if _, err := readLog(t, c, talker, backends.LogQuery{Stdout: true, Timestamps: true}); !errors.Is(err,
				backends.ErrNoTimestamps) {
				t.Errorf("timestamps: got %v", err)
			}
			talker.Allocation.ID = "11111111-2222-3333-4444-555555555555"
			for _, follow := range []bool{false, true} {
				if _, err := readLog(t, c, talker, backends.LogQuery{Stdout: true, Follow: follow}); !errors.Is(err,
					backends.ErrNoLog) {
					t.Errorf("deleted allocation: got %v, want %v", err, backends.ErrNoLog)
				}
			}
		})
	}
}

func TestLog_Capability(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			_, talker := clusterTask(t, cluster, "p-team3-talker", "talk")
			c := open(t, Tier{URL: cluster.URL, TokenFile: cluster.LimitedTokenFile(t, "read-logs")})
			if got, err := readLog(t, c, talker, backends.LogQuery{Stdout: true, Lines: 1}); err != nil || got != "out 150\n" {
				t.Errorf("got %q, %v", got, err)
			}
			if _, err := c.Exec(context.Background(), talker,
				backends.Program{
					Argv: []string{"true"}, Stdout: io.Discard,
					Stderr: io.Discard,
				}); !errors.Is(err, backends.ErrForbidden) || !strings.Contains(err.Error(), "alloc-exec") {
				t.Errorf("exec: got %v", err)
			}
		})
		t.Run(cluster.Kind+" without", func(t *testing.T) {
			_, talker := clusterTask(t, cluster, "p-team3-talker", "talk")
			c := open(t, Tier{URL: cluster.URL, TokenFile: cluster.LimitedTokenFile(t, "read-job")})
			if _, err := readLog(t, c, talker, backends.LogQuery{Stdout: true, Lines: 1}); !errors.Is(err,
				backends.ErrForbidden) || !strings.Contains(err.Error(), "read-logs") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLog_LastLines(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing": "", "one": "a\n", "unfinished": "a\nb", "empty lines": "\n\n\n", "short": strings.Repeat("a line\n", 500),
		"many files":  strings.Repeat("a line that is a bit longer\n", 20_000),
		"long lines":  strings.Repeat(strings.Repeat("x", 300_000)+"\n", 5),
		"a long line": "a\nb\n" + strings.Repeat("x", 1<<20), "no newline": strings.Repeat("x", 200_000),
		"a frame":    strings.Repeat("x", frameSize-1) + "\n",
		"two frames": strings.Repeat(strings.Repeat("x", frameSize-1)+"\n", 2),
	} {
		fake := &fakeLog{maxFileSize: 100_000}
		c, in := serveFakeLog(t, fake)
		fake.write([]byte(text))
		lines := strings.SplitAfter(text, "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		for _, n := range []int{-1, 0, 1, 2, 3, 5, 10_000, 1_000_000} {
			want := text
			if n >= 0 {
				want = strings.Join(lines[max(0, len(lines)-n):], "")
			}
			got, err := readLog(t, c, in, backends.LogQuery{Stdout: true, Lines: n})
			if err != nil || got != want {
				t.Errorf("%s, %d lines: got %d bytes, %v, want %d", name, n, len(got), err, len(want))
			}
		}
	}
}

func TestLog_FollowResumes(t *testing.T) {
	for name, settings := range map[string]*fakeLog{
		"cut":                   {maxFileSize: 50_000, cutEvery: 4},
		"closed normally":       {maxFileSize: 50_000, cutEvery: 4, cutCleanly: true},
		"cut in one small file": {maxFileSize: 1 << 30, cutEvery: 5},
		"never cut":             {maxFileSize: 3_000},
	} {
		for _, lines := range []int{-1, 0, 7} {
			t.Run(fmt.Sprint(name, lines), func(t *testing.T) {
				t.Parallel()
				fake := &fakeLog{
					maxFileSize: settings.maxFileSize, cutEvery: settings.cutEvery, cutCleanly: settings.cutCleanly,
				}
				c, in := serveFakeLog(t, fake)
				line := func(i int) string { return fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", rand.IntN(200))) }
				var all bytes.Buffer
				for i := range 300 {
					text := line(i)
					all.WriteString(text)
					fake.write([]byte(text))
				}
				want := all.String()
				if before := strings.SplitAfter(want, "\n"); lines >= 0 {
					want = strings.Join(before[len(before)-1-lines:], "")
				}
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var mu sync.Mutex
				var got bytes.Buffer
				done := make(chan error, 1)
				caughtUp := make(chan struct{})
				go func() {
					done <- c.Log(ctx, in, backends.LogQuery{Stdout: true, Lines: lines, Follow: true},
						func(p backends.LogChunk) error {
							mu.Lock()
							defer mu.Unlock()
							if got.Write(p.Data); p.CaughtUp {
								close(caughtUp)
							}
							if p.Lost {
								t.Error("got a lost chunk")
							}
							return nil
						})
				}()
				received := func() int { mu.Lock(); defer mu.Unlock(); return got.Len() }
				select {
				case <-caughtUp:
				case <-time.After(time.Minute):
				}
				if received() != len(want) {
					t.Fatalf("got %d of %d bytes before new data", received(), len(want))
				}
				for i := range 1500 {
					text := line(300 + i)
					want += text
					fake.write([]byte(text))
					if i%10 == 0 {
						time.Sleep(time.Millisecond)
					}
					if i%100 < 99 {
						continue
					}
					for start := time.Now(); received() < len(want) && time.Since(start) < 30*time.Second; {
						time.Sleep(time.Millisecond)
					}
				}
				time.Sleep(20 * time.Millisecond)
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
				if got.String() != want {
					same := 0
					for same < min(got.Len(), len(want)) && got.String()[same] == want[same] {
						same++
					}
					t.Errorf("got %d bytes, want %d, different at %d, after %d requests", got.Len(), len(want), same, fake.requests)
				}
				if fake.cutEvery > 0 && fake.cutsMade == 0 {
					t.Errorf("%d requests: nothing was cut", fake.requests)
				}
			})
		}
	}
}

// TestLog_FilesRotated checks that only deleted files are missing.
func TestLog_FilesRotated(t *testing.T) {
	fake := &fakeLog{maxFileSize: 1000, maxFiles: 3}
	c, in := serveFakeLog(t, fake)
	for i := range 1000 {
		fake.write(fmt.Appendf(nil, "line %05d\n", i))
	}
	got, err := readLog(t, c, in, backends.LogQuery{Stdout: true, Lines: -1})
	if err != nil || !strings.HasSuffix(got, "line 00999\n") || len(got) < 2000 || len(got) > 3000 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// TestLog_ReportsGaps has a reader that pauses at the first chunk while files are deleted.
func TestLog_ReportsGaps(t *testing.T) {
	line := func(i int) []byte { return fmt.Appendf(nil, "line %06d\n", i) }
	const size = 12
	for name, tc := range map[string]struct {
		follow bool
		cut    int
	}{"logs": {}, "tail": {follow: true}, "a tail that was cut": {true, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeLog{maxFileSize: 1 << 20, maxFiles: 16, cutEvery: tc.cut}
			c, in := serveFakeLog(t, fake)
			for i := range 16 << 20 / size {
				fake.write(line(i))
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var got []byte
			gaps, paused, last := 0, false, 40<<20/size-1
			err := c.Log(ctx, in, backends.LogQuery{Stdout: true, Lines: -1, Follow: tc.follow},
				func(p backends.LogChunk) error {
					if got = append(got, p.Data...); len(got) > 0 && !paused {
						paused = true
						for i := 16 << 20 / size; i <= last; i++ {
							fake.write(line(i))
						}
					}
					if p.Lost {
						gaps++
					}
					if bytes.HasSuffix(got, line(last)) {
						cancel()
					}
					return nil
				})
			if all := (last + 1) * size; len(got) >= 16<<20 && !tc.follow || len(got) >= all || gaps == 0 ||
				tc.follow == (err == nil) {
				t.Errorf("got %d bytes of %d and %d gaps, %v", len(got), all, gaps, err)
			}
		})
	}
}

func TestLog_HugeLine(t *testing.T) {
	const size = 48 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var back int64 = size
		if r.URL.Query().Get("origin") == "end" {
			fmt.Sscan(r.URL.Query().Get("offset"), &back)
		}
		back = min(back, size)
		frame := `{"Data":"` + strings.Repeat("AAAA", 16<<10) + `","File":"alloc/logs/web.stdout.0","Offset":%d}` // 48 KiB
		for at := size - back; at < size; at += 48 << 10 {
			fmt.Fprintf(w, frame, at+48<<10)
		}
	}))
	defer server.Close()
	c := open(t, Tier{URL: server.URL})
	debug.FreeOSMemory() // memory of earlier tests
	var passed int64
	var maxHeap uint64
	err := c.Log(context.Background(), backends.TaskRef{Task: "web"}, backends.LogQuery{Stdout: true, Lines: 10},
		func(p backends.LogChunk) error {
			if passed += int64(len(p.Data)); passed%(4<<20) < 48<<10 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				maxHeap = max(maxHeap, m.HeapInuse)
			}
			return nil
		})
	if err != nil || passed != size || maxHeap > 32<<20 {
		t.Errorf("got %d bytes, %v, with %d MiB in use", passed, err, maxHeap>>20)
	}
}

func TestLog_FollowWaitsForTask(t *testing.T) {
	t.Parallel()
	cluster := nomadtest.Simulated(t)
	c, talker := clusterTask(t, cluster, "p-team3-talker", "talk")
	c.startPollInterval = 10 * time.Millisecond
	cluster.Sim.Inject(nomadsim.Failure{
		Path: "/v1/client/fs/logs/{id}", Status: 404,
		Body: `task "talk" not started yet. No logs available`, Times: 2,
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var got bytes.Buffer
	c.Log(ctx, talker, backends.LogQuery{Stdout: true, Lines: 1, Follow: true}, func(p backends.LogChunk) error {
		got.Write(p.Data)
		cancel()
		return nil
	})
	if got.String() != "out 150\n" {
		t.Errorf("got %q", got.String())
	}
}
