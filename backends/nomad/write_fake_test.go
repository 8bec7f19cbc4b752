package nomad

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"nomadctld/backends"
)

// fakeJobServer is a Nomad with one job, "web", and one allocation. It can lose responses.
type fakeJobServer struct {
	mu           sync.Mutex
	job          map[string]any
	index        uint64
	purged       bool
	deployment   string
	promoted     bool
	childByToken map[string]string // child by idempotency token

	// replies are the replies to the next writes. "" is normal. "before" and "after" cut the connection before or
	// after the change is applied. "changed" applies another change and cuts the connection. Others are a status and
	// a text.
	replies []string
	record
}

// record is what a fakeJobServer has received.
type record struct {
	requests []string // writes received
	applied  []string // writes applied
	body     []byte   // of the last write
}

func (f *fakeJobServer) snapshot() record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.record
}

// newFakeJobServer returns a fakeJobServer, a client with short pauses, and the job.
func newFakeJobServer(t *testing.T, replies ...string) (*fakeJobServer, *Client, backends.Job) {
	t.Helper()
	f := &fakeJobServer{index: 7, replies: replies, deployment: "running", childByToken: map[string]string{}}
	f.job = map[string]any{
		"ID": "web", "Namespace": "default", "Stop": false, "JobModifyIndex": 7, "Version": 0,
		"Future": map[string]any{"Field": []any{1.5e300, "<&>"}}, "TaskGroups": []any{map[string]any{
			"Name":  "web",
			"Count": 1,
		}},
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client := open(t, Tier{URL: server.URL})
	client.timeouts = writeTimeouts{
		notApplied: time.Minute, lostResponse: time.Minute, register: time.Minute,
		response: 5 * time.Second, nodeResponse: 5 * time.Second, maxPause: time.Millisecond,
	}
	return f, client, backends.Job{Namespace: "default", ID: "web", ModifyIndex: 7}
}

func (f *fakeJobServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method == "GET" {
		f.serveRead(w, r)
		return
	}
	name := r.Method + " " + r.URL.Path
	f.requests = append(f.requests, name)
	f.body, _ = io.ReadAll(r.Body)
	reply := ""
	if len(f.replies) > 0 {
		reply, f.replies = f.replies[0], f.replies[1:]
	}
	status, text, isResponse := strings.Cut(reply, " ")
	if isResponse {
		if status == "307" {
			w.Header().Set("Location", "/v1/job/other")
		}
		w.WriteHeader(map[string]int{"307": 307, "400": 400, "404": 404, "429": 429, "500": 500, "502": 502}[status])
		io.WriteString(w, text)
		return
	}
	if reply == "changed" {
		f.change(map[string]any{"Priority": 99, "TaskGroups": []any{}})
	} else if reply != "before" {
		f.applied = append(f.applied, name)
		response := f.apply(r)
		if reply == "" {
			json.NewEncoder(w).Encode(response)
			return
		}
	}
	conn, _, _ := w.(http.Hijacker).Hijack()
	conn.Close()
}

func (f *fakeJobServer) serveRead(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/v1/job/web" && f.purged:
		w.WriteHeader(404)
	case path == "/v1/job/web":
		json.NewEncoder(w).Encode(f.job)
	case path == "/v1/job/web/versions":
		json.NewEncoder(w).Encode(map[string]any{"Versions": []any{f.job, map[string]any{
			"ID": "web", "Namespace": "default", "Version": 5, "Future": f.job["Future"], "TaskGroups": f.job["TaskGroups"],
		}}})
	case path == "/v1/job/web/deployments":
		group := map[string]any{"DesiredCanaries": 1, "Promoted": f.promoted}
		json.NewEncoder(w).Encode([]any{map[string]any{
			"ID": "d1", "Status": f.deployment,
			"TaskGroups": map[string]any{"web": group},
		}})
	case path == "/v1/job/web/evaluations":
		json.NewEncoder(w).Encode([]any{
			map[string]any{"ID": "old", "JobModifyIndex": 7},
			map[string]any{"ID": "e1", "JobModifyIndex": f.index},
		})
	default:
		w.WriteHeader(404)
	}
}

// change changes fields of the job.
func (f *fakeJobServer) change(fields map[string]any) {
	f.index++
	f.job["JobModifyIndex"], f.job["Version"] = f.index, f.index-7
	for name, value := range fields {
		f.job[name] = value
	}
}

func (f *fakeJobServer) apply(r *http.Request) any {
	response := map[string]any{"EvalID": "e1"}
	path := r.URL.Path
	switch {
	case r.Method == "DELETE":
		f.purged = r.URL.Query().Get("purge") == "true"
		f.change(map[string]any{"Stop": true})
	case path == "/v1/jobs":
		var in struct{ Job map[string]any }
		json.Unmarshal(f.body, &in)
		f.change(in.Job)
		f.job["JobModifyIndex"] = f.index
	case path == "/v1/job/web/scale":
		var in struct{ Count int }
		json.Unmarshal(f.body, &in)
		f.change(map[string]any{"TaskGroups": []any{map[string]any{"Name": "web", "Count": in.Count}}})
	case path == "/v1/job/web/revert":
		f.change(nil)
	case strings.HasPrefix(path, "/v1/deployment/promote/"):
		f.promoted = true
	case strings.HasPrefix(path, "/v1/deployment/fail/"):
		f.deployment = "failed"
	case strings.HasPrefix(path, "/v1/deployment/pause/"):
		f.deployment = map[bool]string{true: "paused", false: "running"}[strings.Contains(string(f.body), `"Pause":true`)]
	case path == "/v1/job/web/dispatch":
		key := r.URL.Query().Get("idempotency_token")
		if f.childByToken[key] == "" || key == "" {
			f.childByToken[key] = fmt.Sprintf("web/dispatch-%d", len(f.childByToken)+1)
		}
		response["DispatchedJobID"] = f.childByToken[key]
	}
	response["JobModifyIndex"], response["EvalCreateIndex"] = f.index, f.index
	return response
}
