package wire

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func testControls() *Controls {
	return New([]string{"/v1/jobs", "/v1/job/{id...}/plan", "/v1/node/{id}"})
}

// serve sends a request to a handler that responds with text, and reports whether the handler ran.
func serve(c *Controls, method, path, pattern string) (w *httptest.ResponseRecorder, executed, aborted bool) {
	w = httptest.NewRecorder()
	defer func() { aborted = recover() == http.ErrAbortHandler }()
	r := httptest.NewRequest(method, path, strings.NewReader("sent"))
	Serve(c, w, r, pattern, method != http.MethodGet, func(w http.ResponseWriter) {
		executed = true
		io.WriteString(w, "response")
	})
	return w, executed, false
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, path, id string
		fits              bool
	}{
		{"/v1/jobs", "/v1/jobs", "", true},
		{"/v1/jobs", "/v1/jobs/x", "", false},
		{"/v1/node/{id}", "/v1/node/a", "a", true},
		{"/v1/node/{id}", "/v1/node/a/b", "", false},
		{"/v1/node/{id}", "/v1/node/", "", false},
		{"/v1/job/{id...}/plan", "/v1/job/a/b/plan", "a/b", true},
		{"/v1/job/{id...}/plan", "/v1/job/a", "", false},
	} {
		id, fits := Match(tc.pattern, tc.path)
		if fits != tc.fits || fits && id != tc.id {
			t.Errorf("%s, %s: got %q, %v, want %q, %v", tc.pattern, tc.path, id, fits, tc.id, tc.fits)
		}
	}
}

func TestInject_Status(t *testing.T) {
	c := testControls()
	hits := c.Inject(Failure{Path: "/v1/node/{id}", Method: "GET", Status: 500, Body: "no", Times: 1})
	if w, executed, _ := serve(c, "PUT", "/v1/node/a", "/v1/node/{id}"); !executed || w.Body.String() != "response" {
		t.Errorf("PUT: got %d %s, want it executed", w.Code, w.Body)
	}
	if w, executed, _ := serve(c, "GET", "/v1/node/a", "/v1/node/{id}"); executed || w.Code != 500 || hits() != 1 {
		t.Errorf("GET: got %d %s after %d hits, want it refused", w.Code, w.Body, hits())
	}
	if w, executed, _ := serve(c, "GET", "/v1/node/a", "/v1/node/{id}"); !executed || w.Code != 200 || hits() != 1 {
		t.Errorf("second GET: got %d %s after %d hits, want it executed", w.Code, w.Body, hits())
	}
}

func TestInject_LostRequestAndResponse(t *testing.T) {
	c := testControls()
	c.Inject(Failure{Cut: true, Times: 1})
	if _, executed, aborted := serve(c, "PUT", "/v1/jobs", "/v1/jobs"); executed || !aborted {
		t.Errorf("cut: got executed %v, aborted %v, want only aborted", executed, aborted)
	}
	c.Inject(Failure{LoseResponse: true, Times: 1})
	if w, executed, aborted := serve(c, "PUT", "/v1/jobs", "/v1/jobs"); !executed || !aborted || w.Body.Len() > 0 {
		t.Errorf("lost: got executed %v, aborted %v, response %q, want both and none", executed, aborted, w.Body)
	}
	serve(c, "PUT", "/v1/jobs", "/v1/jobs")
	serve(c, "GET", "/v1/jobs", "/v1/jobs")
	var got []Write
	for _, w := range c.Writes() {
		if string(w.Body) != "sent" || w.Path != "/v1/jobs" {
			t.Errorf("got %+v, want the request", w)
		}
		got = append(got, Write{Status: w.Status, Applied: w.Applied})
	}
	if len(got) != 3 || got[0].Applied || !got[1].Applied || got[1].Status != 0 || got[2].Status != 200 {
		t.Errorf("journal: got %+v, want a cut, a lost and an applied request", got)
	}
	if got := c.Traffic("/v1/jobs"); got != (Traffic{Requests: 4, Bytes: 2 * int64(len("response"))}) {
		t.Errorf("traffic: got %+v", got)
	}
}

func TestLoseLeader_EndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testControls()
		c.LoseLeader(time.Minute)
		if w, executed, _ := serve(c, "GET", "/v1/jobs", "/v1/jobs"); executed || w.Body.String() != "No cluster leader" {
			t.Errorf("got %d %s, want a refusal", w.Code, w.Body)
		}
		if _, executed, _ := serve(c, "GET", "/v1/jobs?stale", "/v1/jobs"); !executed {
			t.Error("stale: got a refusal, want it executed")
		}
		time.Sleep(time.Minute)
		if _, executed, _ := serve(c, "GET", "/v1/jobs", "/v1/jobs"); !executed {
			t.Error("after a minute: got a refusal, want it executed")
		}
	})
}

func TestDelay_EndsOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testControls()
		c.Inject(Failure{Delay: time.Hour})
		time.AfterFunc(time.Minute, func() { Close(c) })
		start := time.Now()
		if _, executed, aborted := serve(c, "GET", "/v1/jobs", "/v1/jobs"); executed || !aborted {
			t.Errorf("got executed %v, aborted %v, want only aborted", executed, aborted)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("got the abort after %v, want it after a minute", took)
		}
	})
}

func TestInject_UnknownRoutePanics(t *testing.T) {
	for name, f := range map[string]func(c *Controls){
		"failure": func(c *Controls) { c.Inject(Failure{Path: "/v1/alocations", Cut: true}) },
		"count":   func(c *Controls) { c.Traffic("/v1/client/allocation/*/stats") },
	} {
		func() {
			defer func() {
				if got := recover(); got == nil {
					t.Errorf("%s: got no panic, want one", name)
				}
			}()
			f(testControls())
		}()
	}
}
