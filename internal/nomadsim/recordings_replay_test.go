package nomadsim

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"nomadctld/internal/nomadsim/store"
)

// exchange is a request to a real Nomad 2.0.5 and its response.
type exchange struct {
	Name    string
	Request struct {
		Method, Path string
		Body         json.RawMessage
	}
	Status  int
	Headers map[string]string
	Body    any
}

func exchanges(t *testing.T) map[string]exchange {
	t.Helper()
	raw, err := os.ReadFile("testdata/exchanges.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]exchange{}
	for line := range bytes.Lines(raw) {
		var e exchange
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		all[e.Name] = e
	}
	return all
}

// comparesKeysOnly names the exchanges whose fields may be null in one job and set in another. Only the keys of their
// objects are compared.
var comparesKeysOnly = map[string]bool{"versions-diffs": true, "stopped": true}

var digitsIn = regexp.MustCompile(`\d+`)

// replay sends the request of an exchange, with replacements in its path and body, and compares the responses.
func replay(t *testing.T, c *Cluster, e exchange, secret string, replace ...string) {
	t.Helper()
	in := strings.NewReplacer(replace...)
	body := ""
	if len(e.Request.Body) > 0 && string(e.Request.Body) != "null" {
		body = in.Replace(string(e.Request.Body))
	}
	req := httptest.NewRequest(e.Request.Method, in.Replace(e.Request.Path), strings.NewReader(body))
	req.Header.Set("X-Nomad-Token", secret)
	w := httptest.NewRecorder()
	c.ServeHTTP(w, req)
	if w.Code != e.Status {
		t.Fatalf("%s: got %d %s, want %d %v", e.Name, w.Code, w.Body, e.Status, e.Body)
	}
	headers := w.Result().Header
	checkHeaders(t, headers, e.Headers)
	if text, is := e.Body.(string); is {
		if got, want := digitsIn.ReplaceAllString(w.Body.String(), "N"), digitsIn.ReplaceAllString(text, "N"); got != want {
			t.Errorf("%s: got %q, want one like %q", e.Name, w.Body, text)
		}
		return
	}
	family := map[string]map[string]bool{}
	jsonShape(e.Body, "", family)
	for _, d := range differences(family, e.Body, decode[any](t, w)) {
		if !comparesKeysOnly[e.Name] || strings.Contains(d, "got object") {
			t.Errorf("%s: %s", e.Name, d)
		}
	}
}

func TestWrite_MatchesRecordings(t *testing.T) {
	t.Parallel()
	c := recordedCluster()
	defer c.Close()
	c.AddToken("reader", Rights{Namespaces: map[string][]string{"*": {"read-job", "list-jobs"}}})
	all := exchanges(t)
	do := func(name string, replace ...string) {
		t.Helper()
		replay(t, c, all[name], "root", replace...)
	}
	forbidden := func(name string, replace ...string) {
		t.Helper()
		replay(t, c, all[name], "reader", replace...)
	}
	idle := func(job string) {
		t.Helper()
		waitUntil(t, job+" is idle", func() bool { return c.Idle("default", job) })
	}
	web := c.Allocations("default", "p-team1-web")[0]
	forbidden("forbidden-restart", "5a4f905a-7e0a-d23a-edc8-ad420954fc2d", web)
	forbidden("forbidden-stop", "p-team1-six", "p-team1-web")
	forbidden("forbidden-dispatch")
	do("scale-status")
	do("scale")
	idle("p-team1-web")
	do("versions-diffs")
	do("register-index-conflict")
	do("revert")
	idle("p-team1-web")
	do("restart", "2a56b57f-1c09-e0bd-e958-479b49660b2d", web)
	waitUntil(t, "it runs again", func() bool { return c.statusOf(web) == "running" })
	do("signal", "0268f1c8-64c8-cddb-115a-c819466ca607", web)
	do("alloc-stop", "2a56b57f-1c09-e0bd-e958-479b49660b2d", web)
	do("restart-dead", "b946b042-4203-d499-457b-789c5caa3a51", "5643a79b-0dc4-26bc-741f-5ba21c7a4cd5")

	c.AddJob(Job{
		ID: "p-team1-six", Deployment: successful, Groups: []Group{{Name: "g", Count: 6, Tasks: []Task{{Name: "six"}}}},
	})
	do("stop")
	idle("p-team1-six")
	do("stopped")
	do("start")
	idle("p-team1-six")

	do("register-canary", `"V": "2"`, `"V": "1"`)
	idle("t-team2-canary")
	do("submission", "p-team1-six", "t-team2-canary", "version=1", "version=0")
	do("register-canary")
	waitUntil(t, "the canary is healthy", func() bool { return c.healthyCanaries("t-team2-canary") == 1 })
	d := jobRecord(c, "t-team2-canary").Deployment.ID
	recordedID := "6525301d-95a1-738a-c5fa-8c94fe4342b7"
	for _, name := range []string{"deployment", "pause", "resume", "promote"} {
		do(name, recordedID, d)
	}
	waitUntil(t, "the deployment is over", func() bool { return c.deploymentStatus(d) == "successful" })
	do("register-canary", `"V": "2"`, `"V": "3"`)
	waitUntil(t, "the canary is healthy", func() bool { return c.healthyCanaries("t-team2-canary") == 1 })
	d = jobRecord(c, "t-team2-canary").Deployment.ID
	recordedID = "af4c791a-375c-30bb-7390-4c95e3960c37"
	do("fail", recordedID, d)
	do("promote-terminal", recordedID, d)

	do("dispatch")
	do("dispatch-missing-meta")
	do("periodic-force")
}

func (c *Cluster) statusOf(allocation string) string {
	return c.mustAllocation(allocation).ClientStatus
}

func (c *Cluster) deploymentStatus(id string) (status string) {
	c.store.View(func(st *store.State) { status = st.DeploymentByID(id).Status })
	return status
}

func (c *Cluster) healthyCanaries(job string) (n int) {
	j := jobRecord(c, job)
	for _, a := range j.Allocations {
		if a.IsCanary() && a.IsHealthy() && !a.Terminal() && j.Deployment != nil && a.DeploymentID == j.Deployment.ID {
			n++
		}
	}
	return n
}
