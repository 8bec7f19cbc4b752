package nomadsim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// logCluster is a cluster with one described task. Its logs have two files of 100 bytes.
func logCluster() (c *Cluster, allocation string) {
	c = New()
	c.AddJob(Job{ID: "j", Groups: []Group{{Tasks: []Task{{Name: "t", LogFileSize: 100, LogFiles: 2}}}}})
	return c, c.Allocations("default", "j")[0]
}

func TestLogs_OffsetAcrossFiles(t *testing.T) {
	c, id := logCluster()
	defer c.Close()
	var all strings.Builder
	for i := range 15 {
		fmt.Fprintf(&all, "line %03d\n", i)
	}
	c.Log(id, "t", "stdout", []byte(all.String()))
	for query, want := range map[string]string{
		"":                       all.String(),
		"offset=9":               all.String()[9:],
		"offset=108":             all.String()[108:],
		"offset=1000":            "",
		"offset=20&origin=end":   all.String()[135-20:],
		"offset=50&origin=end":   all.String()[135-50:],
		"offset=500&origin=end":  all.String(),
		"offset=-50":             all.String()[99-50:], // from the end of the first file
		"offset=-50&origin=end":  "",
		"origin=end":             all.String()[99:],
		"offset=0&origin=start":  all.String(),
		"offset=101&origin=end&": all.String()[34:],
	} {
		if got := get(c, "/v1/client/fs/logs/"+id+"?plain=true&task=t&type=stdout&"+query).Body.String(); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}

func TestLogs_FollowAcrossRotation(t *testing.T) {
	t.Parallel()
	c, id := logCluster()
	defer c.Close()
	url, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", url+"/v1/client/fs/logs/"+id+"?follow=true&task=t&type=stdout", nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var want, got strings.Builder
	read := make(chan struct{}, 40)
	go func() { // waits for the reader, because old files are deleted
		for i := range 40 {
			c.Log(id, "t", "stdout", fmt.Appendf(nil, "line %03d\n", i))
			if i > 5 {
				<-read
			}
		}
	}()
	for i := range 40 {
		fmt.Fprintf(&want, "line %03d\n", i)
	}
	files := map[string]bool{}
	for frames := json.NewDecoder(resp.Body); got.Len() < want.Len(); {
		var f struct {
			Data            []byte
			File, FileEvent string
			Offset          int64
		}
		if err := frames.Decode(&f); err != nil {
			t.Fatalf("after %q: %v", got.String(), err)
		}
		got.Write(f.Data)
		files[f.File] = true
		for range strings.Count(string(f.Data), "\n") {
			read <- struct{}{}
		}
	}
	if got.String() != want.String() || !files["alloc/logs/t.stdout.0"] || !files["alloc/logs/t.stdout.3"] {
		t.Errorf("got %q from %v, want all lines from four files", got.String(), files)
	}
}

func TestLogs_FrameOffsets(t *testing.T) {
	c := New()
	defer c.Close()
	c.AddJob(Job{ID: "j"})
	id := c.Allocations("default", "j")[0]
	c.Log(id, "main", "stdout", bytes.Repeat([]byte("x"), 200000))
	var got []string
	frames := json.NewDecoder(get(c, "/v1/client/fs/logs/"+id+"?task=main&type=stdout&offset=65536").Body)
	for {
		var f struct {
			Data            []byte
			File, FileEvent string
			Offset          int64
		}
		if err := frames.Decode(&f); err != nil {
			break
		}
		got = append(got, fmt.Sprint(len(f.Data), " ", f.Offset))
	}
	// A real Nomad sends the same offsets, even though they exceed the 200000 bytes of the file.
	wantList(t, "frames", got, []string{"65536 131072", "65536 196608", "3392 262144"})
}

func TestLogs_TaskNotStarted(t *testing.T) {
	c := New()
	defer c.Close()
	c.AddJob(Job{ID: "j", Groups: []Group{{Allocations: []Allocation{{ClientStatus: "pending"}}}}})
	w := get(c, "/v1/client/fs/logs/"+c.Allocations("default", "j")[0]+"?task=main&type=stdout")
	if want := `task "main" not started yet. No logs available`; w.Code != 404 || w.Body.String() != want {
		t.Errorf("got %d %s, want 404 %s", w.Code, w.Body, want)
	}
}

func TestLogs_NodeDown(t *testing.T) {
	c := New()
	defer c.Close()
	c.AddNode(Node{Name: "gone", Down: true})
	c.AddJob(Job{ID: "j", Groups: []Group{{Allocations: []Allocation{{Node: "gone"}}}}})
	w := get(c, "/v1/client/fs/logs/"+c.Allocations("default", "j")[0]+"?task=main&type=stdout")
	if w.Code != 404 || w.Body.String() != "No path to node" {
		t.Errorf("got %d %s, want 404 No path to node", w.Code, w.Body)
	}
}

func TestFiles_LinkOutsideAllocation(t *testing.T) {
	root := t.TempDir()
	t.Setenv("TMPDIR", root)
	c, id := logCluster()
	defer c.Close()
	c.Log(id, "t", "stdout", nil)
	dirs, err := filepath.Glob(filepath.Join(root, "*", "*", id))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("directories of the allocation: got %v, %v, want one", dirs, err)
	}
	if err := os.Symlink("/etc", filepath.Join(dirs[0], "out")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"ls/" + id + "?path=out", "stat/" + id + "?path=out/passwd", "cat/" + id + "?path=out/passwd",
		"ls/" + id + "?path=..",
	} {
		if w := get(c, "/v1/client/fs/"+path); w.Body.String() != "Path escapes the alloc directory" {
			t.Errorf("%s: got %d %s, want a refusal", path, w.Code, w.Body)
		}
	}
}

func TestClose_StopsFollow(t *testing.T) {
	t.Parallel()
	c, id := logCluster()
	url, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(url + "/v1/client/fs/logs/" + id + "?follow=true&task=t&type=stdout")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	time.AfterFunc(50*time.Millisecond, c.Close)
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("got the end of the log, want the connection cut")
	}
}
