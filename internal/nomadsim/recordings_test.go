package nomadsim

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
)

// recording is a response of a real Nomad 2.0.5.
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

// family returns the endpoint of a recording. A field that is null in one recording may have a value in another one
// of the same family.
func (r recording) family() string {
	path, _, _ := strings.Cut(r.Request.Path, "?")
	switch {
	case strings.HasSuffix(path, "/stats"), strings.HasSuffix(path, "/checks"):
		return filepath.Base(path)
	case strings.HasPrefix(path, "/v1/node/"):
		return "node"
	case strings.HasPrefix(path, "/v1/job/"), strings.HasPrefix(path, "/v1/jobs"):
		for _, part := range []string{"allocations", "evaluations", "summary", "deployment", "deployments", "versions"} {
			if strings.HasSuffix(path, "/"+part) {
				if part == "allocations" {
					return "allocation" // as in a list of all
				}
				return part
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

// keyedByName matches the objects whose keys are names instead of fields of the API.
var keyedByName = regexp.MustCompile(`\.(Summary|TaskStates|Details|Drivers|Attributes|Pids|FailedTGAllocs|` +
	`ConstraintFiltered|DimensionExhausted|NodesAvailable|ClassEligibility|` +
	`QueuedAllocations|DesiredTGUpdates|TaskLifecycles|TaskResources|` +
	`Config|HostVolumes|Meta|Env)$`)

// jsonShape records the types in a JSON value by path. The elements of a list share a path, and so do the values of
// an object whose keys are names.
func jsonShape(v any, path string, out map[string]map[string]bool) {
	note := func(s string) {
		if out[path] == nil {
			out[path] = make(map[string]bool)
		}
		out[path][s] = true
	}
	switch v := v.(type) {
	case nil:
		note("null")
	case []any:
		note("array")
		for _, e := range v {
			jsonShape(e, path+"[]", out)
		}
	case map[string]any:
		// TaskGroups and Tasks are lists in a job and objects by name elsewhere. Checks are keyed by their IDs.
		if keyedByName.MatchString(path) || keyedByCheckID(v) || strings.HasSuffix(path, ".TaskGroups") ||
			strings.HasSuffix(path, ".Tasks") {
			note("object by name")
			for _, e := range v {
				jsonShape(e, path+".*", out)
			}
			return
		}
		note("object " + strings.Join(slices.Sorted(maps.Keys(v)), " "))
		for k, e := range v {
			jsonShape(e, path+"."+k, out)
		}
	default:
		note(fmt.Sprintf("%T", v))
	}
}

func keyedByCheckID(v map[string]any) bool {
	for k := range v {
		if len(k) != 64 {
			return false
		}
	}
	return len(v) > 0
}

// differences lists the shapes of got that no recording of the family has, and the paths of want that are missing in
// got.
func differences(family map[string]map[string]bool, want, got any) []string {
	here, have := map[string]map[string]bool{}, map[string]map[string]bool{}
	jsonShape(want, "", here)
	jsonShape(got, "", have)
	var found []string
	for path, shapes := range have {
		for s := range shapes {
			if !family[path][s] {
				found = append(found, fmt.Sprintf("%s: got %s, want one of %v", path, s, slices.Sorted(maps.Keys(family[path]))))
			}
		}
	}
	for path, shapes := range here {
		if have[path] == nil && !notDescribed.MatchString(path) {
			found = append(found, fmt.Sprintf("%s: got nothing, want %v", path, slices.Sorted(maps.Keys(shapes))))
		}
	}
	slices.Sort(found)
	return found
}

// notDescribed matches the driver config, whose keys recordedCluster does not set.
var notDescribed = regexp.MustCompile(`\.Config\.\*`)

func TestRead_MatchesRecordings(t *testing.T) {
	t.Parallel()
	c := recordedCluster()
	all := recordings(t)
	families := map[string]map[string]map[string]bool{}
	for _, r := range all {
		f := r.family()
		if families[f] == nil {
			families[f] = map[string]map[string]bool{}
		}
		jsonShape(r.Body, "", families[f])
	}
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) {
			req := httptest.NewRequest(r.Request.Method, r.Request.Path, nil)
			switch r.name {
			case "error-403-anonymous", "error-403-node":
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

func TestJSONShape_FindsDifferences(t *testing.T) {
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
		jsonShape(w, "", family)
		if d := differences(family, w, g); len(d) == 0 {
			t.Errorf("%s: got no difference, want one", name)
		}
		if d := differences(family, w, w); len(d) != 0 {
			t.Errorf("the same: got %v, want no difference", d)
		}
	}
}
