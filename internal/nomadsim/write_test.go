package nomadsim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestWrite_LostRequestOrResponse(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	registerAndWait(t, n, c, sleeper("web", 1))
	c.ForgetWrites()
	scale := func(count int) error {
		_, _, err := n.Jobs().Scale("web", "g", &count, "", false, nil, nil)
		return err
	}
	c.Inject(Failure{Path: "/v1/job/{id...}/scale", Method: "PUT", Times: 1, Cut: true})
	if err := scale(2); err == nil || jobRecord(c, "web").Version != 0 {
		t.Errorf("cut before: got %v and version %d, want an error and nothing changed", err, jobRecord(c, "web").Version)
	}
	c.Inject(Failure{Path: "/v1/job/{id...}/scale", Method: "PUT", Times: 1, LoseResponse: true})
	if err := scale(2); err == nil || jobRecord(c, "web").Version != 1 {
		t.Errorf("lost after: got %v and version %d, want an error although it was carried out", err,
			jobRecord(c, "web").Version)
	}
	waitUntil(t, "it is scaled", func() bool { return c.Idle("default", "web") })
	c.LoseLeader(0)
	wantStatus(t, scale(3), 500, "No cluster leader")
	c.ClearFailures()
	if err := scale(3); err != nil {
		t.Errorf("healed: got %v, want it scaled", err)
	}
	var got []string
	for _, w := range c.Writes() {
		got = append(got, fmt.Sprintf("%s %s %d %v", w.Method, w.Path, w.Status, w.Applied))
	}
	const path = "PUT /v1/job/web/scale "
	wantList(t, "writes", got, []string{path + "0 false", path + "0 true", path + "500 false", path + "200 true"})
	if body := string(c.Writes()[3].Body); !strings.Contains(body, `"Count":3`) {
		t.Errorf("body: got %s, want what was sent", body)
	}
}

func TestWrite_NeedsCapability(t *testing.T) {
	t.Parallel()
	c := recordedCluster()
	defer c.Close()
	c.AddJob(Job{ID: "p-rolling", Deployment: Deployment{Status: "running"}})
	web, d := c.Allocations("default", "p-team1-web")[0], jobRecord(c, "p-rolling").Deployment.ID
	for _, o := range []struct{ capability, method, path, body string }{
		{"dispatch-job", "PUT", "/v1/job/t-team2-import/dispatch", `{"Meta":{"file":"x"}}`},
		{"force-periodic-job", "PUT", "/v1/job/p-iss-frontend-sync/periodic/force", ""},
		{"alloc-lifecycle", "PUT", "/v1/client/allocation/" + web + "/signal", `{"Signal":"SIGHUP"}`},
		{"alloc-lifecycle", "PUT", "/v1/client/allocation/" + web + "/restart", `{}`},
		{"alloc-lifecycle", "PUT", "/v1/allocation/" + web + "/stop", ""},
		{"scale-job", "PUT", "/v1/job/p-team1-web/scale", `{"Count":3,"Target":{"Group":"web"}}`},
		{"pause-deployment", "PUT", "/v1/deployment/pause/" + d, `{"DeploymentID":"` + d + `","Pause":true}`},
		{"promote-deployment", "PUT", "/v1/deployment/promote/" + d, `{"DeploymentID":"` + d + `","All":true}`},
		{"fail-deployment", "PUT", "/v1/deployment/fail/" + d, `{}`},
		{"revert-job", "PUT", "/v1/job/p-team1-versions/revert", `{"JobID":"p-team1-versions","JobVersion":0}`},
		{"submit-job", "PUT", "/v1/jobs", `{"Job":{"ID":"x","TaskGroups":[{"Name":"g","Tasks":[{"Name":"t"}]}]}}`},
		{"submit-job", "DELETE", "/v1/job/p-team1-fail", ""},
	} {
		c.AddToken("reader", Rights{Namespaces: map[string][]string{"default": {"read-job", "list-jobs", "read-logs"}}})
		c.AddToken("able", Rights{Namespaces: map[string][]string{"default": {o.capability}}})
		if w := send(c, o.method, o.path, o.body, "X-Nomad-Token", "reader"); w.Code != 403 ||
			w.Body.String() != "Permission denied" {
			t.Errorf("%s %s for a reader: got %d %s, want 403", o.method, o.path, w.Code, w.Body)
		}
		if w := send(c, o.method, o.path, o.body, "X-Nomad-Token", "able"); w.Code != 200 {
			t.Errorf("%s %s with %s: got %d %s, want 200", o.method, o.path, o.capability, w.Code, w.Body)
		}
	}
}

func TestWrite_WakesBlockingQuery(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	registerAndWait(t, n, c, sleeper("web", 1))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, meta, err := n.Jobs().Allocations("web", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.Jobs().Deregister("web", false, nil); err != nil {
		t.Fatal(err)
	}
	for index := meta.LastIndex; ; {
		rows, meta, err := n.Jobs().Allocations("web", false, (&api.QueryOptions{WaitIndex: index}).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		if rows[0].ClientStatus == "complete" {
			return
		}
		index = meta.LastIndex
	}
}
