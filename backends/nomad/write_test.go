package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"nomadctld/backends"
)

// verifiableWrites are the changes that can be verified after a lost response.
var verifiableWrites = map[string]func(*Client, backends.Job) (backends.WriteResult, error){
	"stop": func(c *Client, job backends.Job) (backends.WriteResult, error) {
		return c.Stop(context.Background(), job, false)
	},
	"purge": func(c *Client, job backends.Job) (backends.WriteResult, error) {
		return c.Stop(context.Background(), job, true)
	},
	"register": func(c *Client, job backends.Job) (backends.WriteResult, error) {
		raw, err := c.Definition(context.Background(), job, nil)
		if err != nil {
			return backends.WriteResult{}, err
		}
		return c.Register(context.Background(), job, raw, 7)
	},
	"scale": func(c *Client, job backends.Job) (backends.WriteResult, error) {
		return c.Scale(context.Background(), job, "web", 3)
	},
	"revert": func(c *Client, job backends.Job) (backends.WriteResult, error) {
		return c.Revert(context.Background(), job, 5)
	},
	"promote": func(c *Client, job backends.Job) (backends.WriteResult, error) {
		return c.PromoteDeployment(context.Background(), job, "d1")
	},
	"fail": func(c *Client, job backends.Job) (backends.WriteResult, error) {
		return c.FailDeployment(context.Background(), job, "d1")
	},
	"pause": func(c *Client, job backends.Job) (backends.WriteResult, error) {
		return c.PauseDeployment(context.Background(), job, "d1")
	},
}

// singleAttemptWrites are the changes that must not be sent again after a lost response.
var singleAttemptWrites = map[string]func(*Client, backends.Job) error{
	"restart": func(c *Client, _ backends.Job) error {
		return c.RestartTask(context.Background(), fakeAllocation, "web")
	},
	"signal": func(c *Client, _ backends.Job) error {
		return c.SignalTask(context.Background(), fakeAllocation, "web", "SIGHUP")
	},
	"stop an allocation": func(c *Client, _ backends.Job) error {
		_, err := c.StopAllocation(context.Background(), fakeAllocation)
		return err
	},
	"force": func(c *Client, job backends.Job) error { _, err := c.Force(context.Background(), job); return err },
}

var fakeAllocation = backends.Allocation{Namespace: "default", JobID: "web", ID: "a1"}

func TestWrite_LostResponseVerified(t *testing.T) {
	t.Parallel()
	for name, write := range verifiableWrites {
		for _, reply := range []string{
			"after", "before", "500 rpc error: EOF", "502 bad gateway",
			"500 leadership lost while committing log",
		} {
			t.Run(name+" "+reply, func(t *testing.T) {
				t.Parallel()
				f, c, job := newFakeJobServer(t, reply)
				result, err := write(c, job)
				if err != nil || len(f.snapshot().applied) != 1 {
					t.Errorf("got %+v, %v, applied %q, want once", result, err, f.snapshot().applied)
				}
				if want := map[bool]int{true: 1, false: 2}[reply == "after"]; len(f.snapshot().requests) != want {
					t.Errorf("got requests %q, want %d", f.snapshot().requests, want)
				}
				switch name {
				case "purge", "promote", "fail", "pause":
				default:
					if result.ModifyIndex != 8 || result.EvaluationID != "e1" {
						t.Errorf("got %+v, want the index 8 and the evaluation e1", result)
					}
				}
			})
		}
	}
}

func TestEvaluate_LostResponseRetried(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string]int{"": 1, "after": 2, "before": 2, "500 No cluster leader": 2} {
		f, c, job := newFakeJobServer(t, reply)
		if result, err := c.Evaluate(context.Background(), job); err != nil || result.EvaluationID != "e1" ||
			len(f.snapshot().requests) != want {
			t.Errorf("%q: got %+v, %v, sent %q, want %d times", reply, result, err, f.snapshot().requests, want)
		}
	}
	f, c, job := newFakeJobServer(t)
	job.ModifyIndex = 6
	if _, err := c.Evaluate(context.Background(), job); err == nil || len(f.snapshot().requests) != 0 {
		t.Errorf("changed job: got %v, sent %q", err, f.snapshot().requests)
	}
}

func TestWrite_ChangedElsewhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"stop", "purge", "register", "scale", "revert"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c, job := newFakeJobServer(t, "changed")
			_, err := verifiableWrites[name](c, job)
			var changed *backends.ChangedError
			if !errors.As(err, &changed) || changed.Version != 1 || len(f.snapshot().applied) != 0 ||
				!strings.Contains(err.Error(), "may or may not have been applied") ||
				len(f.snapshot().requests) != 1 {
				t.Errorf("got %v, sent %q, applied %q, want a ChangedError with version 1 and nothing applied", err,
					f.snapshot().requests, f.snapshot().applied)
			}
		})
	}
}

func TestWrite_RetriesWithoutLeader(t *testing.T) {
	t.Parallel()
	replies := []string{
		"500 No cluster leader", "500 rpc error: No cluster leader", "429 too many",
		"500 node is not the leader",
	}
	for name, write := range verifiableWrites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c, job := newFakeJobServer(t, replies...)
			if result, err := write(c, job); err != nil || len(f.snapshot().applied) != 1 || len(f.snapshot().requests) != 5 {
				t.Errorf("got %+v, %v, sent %q, applied %q, want success at the fifth attempt", result, err, f.snapshot().requests,
					f.snapshot().applied)
			}
		})
	}
	for name, write := range singleAttemptWrites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c, job := newFakeJobServer(t, replies...)
			if err := write(c, job); err != nil || len(f.snapshot().applied) != 1 || len(f.snapshot().requests) != 5 {
				t.Errorf("got %v, sent %q, applied %q, want success at the fifth attempt", err, f.snapshot().requests,
					f.snapshot().applied)
			}
		})
	}
}

func TestWrite_NoLeaderTimeout(t *testing.T) {
	t.Parallel()
	replies := make([]string, 10000)
	for i := range replies {
		replies[i] = "500 No cluster leader"
	}
	f, c, job := newFakeJobServer(t, replies...)
	c.timeouts.notApplied = 20 * time.Millisecond
	_, err := c.Stop(context.Background(), job, false)
	if err == nil || err.Error() != "Nomad returned 500 No cluster leader; nothing was done" ||
		len(f.snapshot().applied) != 0 || errors.Is(err, backends.ErrOutcomeUnknown) {
		t.Errorf("got %v, want no leader, and nothing done", err)
	}
}

func TestWrite_Unreachable(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	c := open(t, Tier{URL: "http://" + closed.Addr().String()})
	c.timeouts.notApplied, c.timeouts.maxPause = 20*time.Millisecond, time.Millisecond
	err = c.RestartTask(context.Background(), fakeAllocation, "web")
	if !errors.Is(err, backends.ErrUnreachable) || errors.Is(err, backends.ErrOutcomeUnknown) ||
		err.Error() != "no response: connection refused; nothing was done" {
		t.Errorf("got %v, want no response, and nothing done", err)
	}
}

func TestWrite_SingleAttempt(t *testing.T) {
	t.Parallel()
	for name, write := range singleAttemptWrites {
		for _, reply := range []string{
			"after", "before", "500 rpc error: EOF", "502 bad gateway",
			"500 rpc error: session shutdown",
		} {
			t.Run(name+" "+reply, func(t *testing.T) {
				t.Parallel()
				f, c, job := newFakeJobServer(t, reply)
				if err := write(c, job); !errors.Is(err, backends.ErrOutcomeUnknown) || len(f.snapshot().requests) != 1 {
					t.Errorf("got %v, sent %q, want one attempt with unknown outcome", err, f.snapshot().requests)
				}
			})
		}
	}
}

func TestDispatch_Once(t *testing.T) {
	t.Parallel()
	f, c, job := newFakeJobServer(t, "after", "500 No cluster leader", "before")
	result, err := c.Dispatch(context.Background(), job, nil, nil)
	if err != nil || result.ChildID != "web/dispatch-1" || len(f.childByToken) != 1 || len(f.snapshot().requests) != 4 {
		t.Errorf("got %+v, %v after %q, with the children %v, want one child",
			result, err, f.snapshot().requests, f.childByToken)
	}
	_, c, job = newFakeJobServer(t, "after", "400 the job is stopped")
	_, err = c.Dispatch(context.Background(), job, nil, nil)
	var rejection *backends.RejectedError
	if !errors.Is(err, backends.ErrOutcomeUnknown) || !errors.As(err, &rejection) {
		t.Errorf("got %v, want an unknown outcome and the rejection", err)
	}
}

func TestWrite_ContextCanceled(t *testing.T) {
	t.Parallel()
	f, c, job := newFakeJobServer(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Force(ctx, job); !errors.Is(err, context.Canceled) || len(f.snapshot().requests) != 0 {
		t.Errorf("canceled before it was sent: got %v after %q", err, f.snapshot().requests)
	}
}

func TestRegister_KeepsUnknownFields(t *testing.T) {
	t.Parallel()
	f, c, job := newFakeJobServer(t)
	const future = `"Future":{"Big":12345678901234567890,"Stop":true,"List":[1.50,null]}`
	const definition = `{"ID":"web","Stop":true,"Namespace":"default",` + future + `,"stop":null}`
	if _, err := c.Register(context.Background(), job, json.RawMessage(definition), 7); err != nil {
		t.Fatal(err)
	}
	want := `{"Job":{"ID":"web","Stop":false,"Namespace":"default",` + future +
		`,"stop":false},"EnforceIndex":true,"JobModifyIndex":7}`
	if got := strings.TrimSpace(string(f.snapshot().body)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, of := range []string{`{"ID":"other"}`, `{"ID":"web","Namespace":"other"}`, `[]`, `{`} {
		if _, err := c.Register(context.Background(), job, json.RawMessage(of), 7); err == nil {
			t.Errorf("%s: got no error", of)
		}
	}
	if len(f.snapshot().requests) != 1 {
		t.Errorf("got %q, want only the first", f.snapshot().requests)
	}
}

func TestWrite_NoRedirects(t *testing.T) {
	t.Parallel()
	f, c, job := newFakeJobServer(t, "307 moved")
	var rejection *backends.RejectedError
	if _, err := c.Stop(context.Background(), job, false); !errors.As(err, &rejection) || len(f.snapshot().requests) != 1 {
		t.Errorf("got %v after %q, want a rejection", err, f.snapshot().requests)
	}
}

func TestCleanMessage(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"rpc error: code = Unknown desc = unknown signal\nmore":         "unknown signal",
		"1 error occurred:\n\t* Failed to signal: Task not running\n\n": "Failed to signal: Task not running",
		"2 errors occurred:\n\t* a\n\t* b\n\n":                          "a; b",
		"can't promote terminal deployment":                             "can't promote terminal deployment",
	} {
		if got := cleanMessage(body); got != want {
			t.Errorf("%q: got %q, want %q", body, got, want)
		}
	}
}

func TestWrite_NodeUnreachable(t *testing.T) {
	t.Parallel()
	_, c, _ := newFakeJobServer(t, "404 No path to node")
	if err := c.RestartTask(context.Background(), fakeAllocation, ""); !errors.Is(err, backends.ErrUnreachable) ||
		errors.Is(err, backends.ErrNotFound) {
		t.Errorf("got %v, want no response of the node", err)
	}
	_, c, _ = newFakeJobServer(t, "404 alloc not found")
	if err := c.RestartTask(context.Background(), fakeAllocation, ""); !errors.Is(err, backends.ErrNotFound) {
		t.Errorf("got %v, want not found", err)
	}
}

func TestWrite_SlowNodesDoNotBlockServers(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, maxNodeWriteConns), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, clientAllocPath) {
			arrived <- struct{}{}
			<-release
		}
		w.Write([]byte("{}"))
	}))
	defer server.Close()
	clients, err := Open(Tier{Name: "a", URL: server.URL}, Tier{Name: "b", URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	var restarts sync.WaitGroup
	for range maxNodeWriteConns {
		restarts.Go(func() {
			if err := clients["a"].RestartTask(context.Background(), fakeAllocation, ""); err != nil {
				t.Errorf("restart: %v", err)
			}
		})
	}
	for range maxNodeWriteConns {
		<-arrived
	}
	clients["b"].timeouts.nodeResponse = 20 * time.Millisecond
	err = clients["b"].RestartTask(context.Background(), fakeAllocation, "")
	if err == nil || errors.Is(err, backends.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "too many changes") ||
		!errors.Is(err, backends.ErrUnreachable) || !errors.Is(err, backends.ErrLimitReached) ||
		len(arrived) > 0 {
		t.Errorf("restart above the limit: got %v, want too many changes and nothing done", err)
	}
	if _, err := clients["b"].StopAllocation(context.Background(), fakeAllocation); err != nil {
		t.Errorf("stop: %v", err)
	}
	close(release)
	restarts.Wait()
}
