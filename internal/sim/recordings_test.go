package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A recording is one answer of a real Nomad 2.0.5.
type recording struct {
	name    string
	Request struct{ Method, Path string }
	Status  int
	Headers map[string]string
	Body    any
}

func recordings(t *testing.T) []recording {
	t.Helper()
	files, err := filepath.Glob("testdata/recordings/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("recordings: got %d files, error %v", len(files), err)
	}
	var all []recording
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r := recording{name: strings.TrimSuffix(filepath.Base(f), ".json")}
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all = append(all, r)
	}
	return all
}

// family is the endpoint a recording is of: what one answer of it shows as null, another may show as a value.
func (r recording) family() string {
	path, _, _ := strings.Cut(r.Request.Path, "?")
	switch {
	case strings.HasSuffix(path, "/stats"):
		return "stats"
	case strings.HasPrefix(path, "/v1/job/"), strings.HasPrefix(path, "/v1/jobs"):
		for _, part := range []string{"allocations", "evaluations", "summary", "deployment"} {
			if strings.HasSuffix(path, "/"+part) {
				return strings.TrimSuffix(part, "s")
			}
		}
		return strings.Split(path, "/")[2]
	case path == "/v1/allocations":
		return "allocation"
	case strings.HasPrefix(path, "/v1/allocation/"):
		return "one allocation"
	}
	return path
}

// named are the objects whose keys are names and not words of the API.
var named = regexp.MustCompile(`\.(Summary|TaskStates|Details|Drivers|Attributes|Pids|FailedTGAllocs|ConstraintFiltered|` +
	`DimensionExhausted|NodesAvailable|ClassEligibility|QueuedAllocations|DesiredTGUpdates|TaskLifecycles|TaskResources|` +
	`Config|HostVolumes|Meta)$`)

// shape notes, for each place in a JSON value, what stands there: a type, or an object with its keys. The elements
// of a list share a place, as do the values of an object whose keys are names.
func shape(v any, place string, out map[string]map[string]bool) {
	note := func(s string) {
		if out[place] == nil {
			out[place] = make(map[string]bool)
		}
		out[place][s] = true
	}
	switch v := v.(type) {
	case nil:
		note("null")
	case []any:
		note("array")
		for _, e := range v {
			shape(e, place+"[]", out)
		}
	case map[string]any:
		// TaskGroups and Tasks are lists in a job, objects by name elsewhere.
		if named.MatchString(place) || strings.HasSuffix(place, ".TaskGroups") || strings.HasSuffix(place, ".Tasks") {
			note("object by name")
			for _, e := range v {
				shape(e, place+".*", out)
			}
			return
		}
		note("object " + strings.Join(slices.Sorted(maps.Keys(v)), " "))
		for k, e := range v {
			shape(e, place+"."+k, out)
		}
	default:
		note(fmt.Sprintf("%T", v))
	}
}

// differences lists where got has what the recordings of its family never show, and where it lacks what this
// recording shows.
func differences(family map[string]map[string]bool, want, got any) []string {
	here, have := map[string]map[string]bool{}, map[string]map[string]bool{}
	shape(want, "", here)
	shape(got, "", have)
	var found []string
	for place, shapes := range have {
		for s := range shapes {
			if !family[place][s] {
				found = append(found, fmt.Sprintf("%s: got %s, want one of %v", place, s, slices.Sorted(maps.Keys(family[place]))))
			}
		}
	}
	for place, shapes := range here {
		if have[place] == nil && !unsaid.MatchString(place) {
			found = append(found, fmt.Sprintf("%s: got nothing, want %v", place, slices.Sorted(maps.Keys(shapes))))
		}
	}
	slices.Sort(found)
	return found
}

// unsaid is what a job has in the recordings and no description of the simulated cluster can say.
var unsaid = regexp.MustCompile(`\.(Constraints|Networks|Ports|Services)\[\]|\.Config\.\*`)

func TestAnswersHaveTheShapeOfTheRecordings(t *testing.T) {
	c := recorded()
	all := recordings(t)
	families := map[string]map[string]map[string]bool{}
	for _, r := range all {
		f := r.family()
		if families[f] == nil {
			families[f] = map[string]map[string]bool{}
		}
		shape(r.Body, "", families[f])
	}
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) {
			req := httptest.NewRequest(r.Request.Method, r.Request.Path, nil)
			switch r.name {
			case "error-403-anonymous":
			case "error-403-badtoken":
				req.Header.Set("X-Nomad-Token", "00000000-0000-0000-0000-000000000000")
			default:
				req.Header.Set("X-Nomad-Token", "root")
			}
			w := httptest.NewRecorder()
			c.ServeHTTP(w, req)
			got := w.Result()
			if got.StatusCode != r.Status {
				t.Errorf("status: got %d, want %d", got.StatusCode, r.Status)
			}
			checkHeaders(t, got.Header, r.Headers)
			raw, _ := io.ReadAll(got.Body)
			if text, isText := r.Body.(string); isText {
				if string(raw) != text {
					t.Errorf("body: got %q, want %q", raw, text)
				}
				return
			}
			var body any
			if err := json.Unmarshal(raw, &body); err != nil {
				t.Fatalf("body: got %q, want JSON: %v", raw, err)
			}
			for _, d := range differences(families[r.family()], r.Body, body) {
				t.Error(d)
			}
		})
	}
}

func checkHeaders(t *testing.T, got http.Header, want map[string]string) {
	t.Helper()
	for name, value := range want {
		fits := regexp.QuoteMeta(value)
		switch name {
		case "X-Nomad-Index":
			fits = `[1-9]\d*`
		case "X-Nomad-Nexttoken":
			fits = `\d+\.[0-9a-f]{8}-[0-9a-f-]{27}`
		}
		if !regexp.MustCompile("^" + fits + "$").MatchString(got.Get(name)) {
			t.Errorf("header %s: got %q, want one like %q", name, got.Get(name), value)
		}
	}
	for name := range got {
		if _, there := want[name]; !there && strings.HasPrefix(name, "X-Nomad") {
			t.Errorf("header %s: got %q, want none", name, got.Get(name))
		}
	}
}

func TestShapeComparisonFindsEveryKindOfDifference(t *testing.T) {
	const want = `{"ID": "a", "Count": 1, "At": null, "TaskStates": {"web": {"State": "x"}}, "List": [{"A": 1}]}`
	for name, got := range map[string]string{
		"a missing key":                `{"Count": 1, "At": null, "TaskStates": {"web": {"State": "x"}}, "List": [{"A": 1}]}`,
		"an additional key":            strings.Replace(want, `"ID"`, `"New": 1, "ID"`, 1),
		"another type":                 strings.Replace(want, `"Count": 1`, `"Count": "1"`, 1),
		"a value for null":             strings.Replace(want, `null`, `"2026"`, 1),
		"null for a value":             strings.Replace(want, `"a"`, `null`, 1),
		"a key in an object by name":   strings.Replace(want, `"State"`, `"Status"`, 1),
		"an empty object by name":      strings.Replace(want, `{"web": {"State": "x"}}`, `{}`, 1),
		"an empty list":                strings.Replace(want, `[{"A": 1}]`, `[]`, 1),
		"one odd element among others": strings.Replace(want, `[{"A": 1}]`, `[{"A": 1}, {"B": 1}]`, 1),
	} {
		var w, g any
		if json.Unmarshal([]byte(want), &w) != nil || json.Unmarshal([]byte(got), &g) != nil {
			t.Fatalf("%s: bad test", name)
		}
		family := map[string]map[string]bool{}
		shape(w, "", family)
		if d := differences(family, w, g); len(d) == 0 {
			t.Errorf("%s: got no difference, want one", name)
		}
		if d := differences(family, w, w); len(d) != 0 {
			t.Errorf("the same: got %v, want no difference", d)
		}
	}
}

// recorded is a cluster with jobs like those of the recordings, by the same IDs.
func recorded() *Cluster {
	c := New()
	c.AddToken("root", Rights{Management: true})
	c.AddNode(Node{Name: "node-1", Drivers: []string{"docker", "raw_exec", "exec"}})
	at := time.Date(2026, 11, 22, 10, 29, 10, 0, time.UTC)
	periodic := func(id string, p Periodic) {
		c.Run(Job{ID: id, Type: "batch", Submitted: at, Periodic: &p, Groups: []Group{{Name: "g", Tasks: []Task{{Name: "t"}}}}})
	}
	one := func(j Job, a Allocation) {
		j.Submitted = at
		j.Groups = []Group{{Name: "g", Tasks: []Task{{Name: "t"}}, Allocations: []Allocation{a}}}
		c.Run(j)
	}
	restarted := []Event{
		Received(at), TaskSetup(at), Started(at), Terminated(at, 137, ""), Restarting(at, 18348959379), Started(at),
	}
	for ns, ids := range map[string][]string{"default": {"b14012d6-bcdc-9f32-d3d6-997347fe34e4", ""}, "other": {""}} {
		web := Group{Name: "web", Tasks: []Task{{Name: "web"}}}
		for _, id := range ids {
			web.Allocations = append(web.Allocations, Allocation{
				ID: id, Tasks: map[string]TaskState{"web": {Events: restarted, CPU: 4, RSS: 122880, MaxRSS: 11161600}},
			})
		}
		c.Run(Job{Namespace: ns, ID: "p-team1-web", Deployment: successful, Submitted: at, Groups: []Group{web}})
	}
	failed := Deployment{"failed", "Failed due to unhealthy allocations"}
	one(Job{ID: "q-team2-oom", Deployment: failed}, Allocation{
		ID: "eaeee473-cd70-5c5e-dfbe-5dda858659f6", ClientStatus: "failed", Tasks: map[string]TaskState{"t": {
			Events: []Event{Started(at), OOMKilled(at), Restarting(at, time.Second), Started(at), OOMKilled(at), NotRestarting(at, 3)},
		}},
	})
	one(Job{ID: "p-team1-fail", Deployment: failed}, Allocation{
		ID: "5643a79b-0dc4-26bc-741f-5ba21c7a4cd5", ClientStatus: "failed", Tasks: map[string]TaskState{"t": {
			Events: []Event{Started(at), Terminated(at, 3, ""), Restarting(at, time.Second), Terminated(at, 3, ""), NotRestarting(at, 2)},
		}},
	})
	one(Job{ID: "q-fii-lamp", Deployment: Deployment{Status: "failed"}}, Allocation{
		ID: "e8eefb5e-372b-bc39-68e6-69211aa7f9c4", Unhealthy: true, Tasks: map[string]TaskState{"t": {
			Events: []Event{Received(at), Started(at), Unhealthy(at, "Task not running for min_healthy_time of 1s by healthy_deadline of 8s")},
		}},
	})
	c.Run(Job{ID: "t-team1-multi", Deployment: Deployment{Status: "running"}, Submitted: at, Groups: []Group{
		{
			Name: "api", Tasks: []Task{{Name: "app"}, {Name: "sidecar", Driver: "raw_exec", Sidecar: true}},
			Allocations: []Allocation{{ID: "13763245-a14b-2a4d-3fa9-9c5de9f0ac68", Tasks: map[string]TaskState{
				"app": {Events: restarted, RSS: 53248, MaxRSS: 11120640}, "sidecar": {RSS: 1859584},
			}}},
		},
		{Name: "pend", Unplaced: &Unplaced{ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 1}}},
	}})
	periodic("p-es-log-curator", Periodic{Specs: []string{"52 6,15,18 * * * *"}, ProhibitOverlap: true})
	periodic("p-iss-frontend-sync", Periodic{Spec: "11/15 * * * * *", TimeZone: "Europe/Brussels"})
	one(Job{ID: "p-iss-frontend-sync/periodic-1795344467", ParentID: "p-iss-frontend-sync", Type: "batch"}, Allocation{
		ID: "203328eb-1730-540b-3143-e384ac9cb64a", ClientStatus: "complete", Tasks: map[string]TaskState{"t": {Unmeasured: true}},
	})
	file := &Parameterized{MetaRequired: []string{"file"}}
	c.Run(Job{ID: "t-team2-import", Type: "batch", Parameterized: file, Submitted: at})
	one(Job{
		ID: "t-team2-import/dispatch-1795344467-fcf70557", ParentID: "t-team2-import", Type: "batch", Parameterized: file,
		Meta: map[string]string{"file": "a.csv"},
	}, Allocation{ID: "2041b43f-35ca-2541-c9f6-d89c8d1d96f5", ClientStatus: "complete"})
	return c
}
