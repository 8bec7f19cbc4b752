package nomadsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestPlacement_FailuresMatchRecordings compares placement failures with those of a real Nomad with two nodes in dc1.
func TestPlacement_FailuresMatchRecordings(t *testing.T) {
	raw, err := os.ReadFile("testdata/placement.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c := twoNodes()
		defer c.Close()
		constraint := func(left, right string) string {
			return fmt.Sprintf(`,"Constraints":[{"LTarget":%q,"Operand":"=","RTarget":%q}]`, left, right)
		}
		jobs := map[string][2]string{ // fields of the job and of its task
			"p-dc9":    {`,"Datacenters":["dc9"]`},
			"p-pool":   {constraint("${node.unique.name}", "zz")},
			"p-big":    {"", `,"Resources":{"CPU":20,"MemoryMB":9000000}`},
			"p-dcmix":  {`,"Datacenters":["dc9","dc1"]` + constraint("${attr.kernel.name}", "windows")},
			"p-nopool": {`,"NodePool":"empty"`},
			"p-sysdc9": {`,"Type":"system","Datacenters":["dc9"]`},
			"p-syspin": {`,"Type":"system"` + constraint("${node.unique.name}", "zz")},
		}
		for line := range bytes.Lines(raw) {
			var want struct {
				Job         string
				Evaluations []map[string]any
			}
			if err := json.Unmarshal(line, &want); err != nil {
				t.Fatal(err)
			}
			parts := jobs[want.Job]
			task := `{"Name":"web","Driver":"raw_exec"` + parts[1] + `}`
			body := fmt.Sprintf(`{"Job":{"ID":%q%s,"TaskGroups":[{"Name":"web","Tasks":[%s]}]}}`, want.Job, parts[0], task)
			if w := send(c, "PUT", "/v1/jobs", body); w.Code != 200 {
				t.Fatalf("%s: got %d %s", want.Job, w.Code, w.Body)
			}
			waitIdle(c, want.Job)
			got := decode[[]map[string]any](t, get(c, "/v1/job/"+want.Job+"/evaluations"))
			for _, all := range [][]map[string]any{got, want.Evaluations} {
				slices.SortFunc(all, func(a, b map[string]any) int {
					return bytes.Compare([]byte(a["Status"].(string)), []byte(b["Status"].(string)))
				})
			}
			if len(got) != len(want.Evaluations) {
				t.Errorf("%s: got %d evaluations, want %d: %v", want.Job, len(got), len(want.Evaluations), got)
				continue
			}
			for i, e := range want.Evaluations {
				for _, field := range []string{
					"TriggeredBy", "Status", "StatusDescription", "QueuedAllocations", "EscapedComputedClass", "FailedTGAllocs",
					"ClassEligibility",
				} {
					if a, b := withoutVolatile(got[i][field]), withoutVolatile(e[field]); !reflect.DeepEqual(a, b) {
						t.Errorf("%s: %s of the evaluation %s: got %v, want %v", want.Job, field, e["TriggeredBy"], a, b)
					}
				}
			}
		}
	})
}

// withoutVolatile removes the fields that depend on the time or the node.
func withoutVolatile(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if len(k) > 3 && k[:3] == "v1:" {
				k = "class"
			}
			if k != "AllocationTime" {
				out[k] = withoutVolatile(e)
			}
		}
		return out
	}
	return v
}

func waitIdle(c *Cluster, id string) {
	for range 100 {
		if !jobRecord(c, id).HasEvaluation("pending") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestEvaluate_ErrorsMatchRecordings(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "root")
	c.AddToken("reader", Rights{Namespaces: map[string][]string{"*": {"read-job", "list-jobs"}}})
	registerAndWait(t, n, c, sleeper("p-one", 1))
	registerAndWait(t, n, c, sleeper("p-none", 1))
	c.AddJob(Job{ID: "p-per", Type: "batch", Periodic: &Periodic{Spec: "0 5 29 2 *"}})
	c.AddJob(Job{ID: "p-imp", Type: "batch", Parameterized: &Parameterized{}})
	all := exchanges(t)
	for _, name := range []string{
		"evaluate", "evaluate-nope", "evaluate-other", "evaluate-empty", "evaluate-no-id", "evaluate-periodic",
		"evaluate-parameterized",
	} {
		replay(t, c, all[name], "root")
	}
	if w := send(c, "PUT", "/v1/job/p-one/evaluate", "", "X-Nomad-Token", "reader"); w.Code != 403 {
		t.Errorf("with a token that only reads: got %d, want 403", w.Code)
	}
}
