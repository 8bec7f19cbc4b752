package jobspec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// define returns the registration of a job in JSON.
func define(t *testing.T, text string, trusted bool, before ...*Registration) *Registration {
	t.Helper()
	f, err := Parse(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := JSONValue(json.RawMessage(text)).(object)
	return Define(f, raw, "default", trusted, before)
}

const oneTask = `{"ID":"web","TaskGroups":[{"Name":"g","Count":2,"Future":{"x":1},"Tasks":[
	{"Name":"t","Driver":"raw_exec","Config":{"command":"/bin/true","args":["a",2]},"Env":{"V":"1"}}]}]}`

func TestDefine_DefaultsAndUnknownFields(t *testing.T) {
	j := define(t, oneTask, false)
	group := JSONValue(j.Detail()).(object)["TaskGroups"].([]any)[0].(object)
	if got := fmt.Sprintf("%v %v", group["Future"], group["Count"]); got != "map[x:1] 2" {
		t.Errorf("got %s, want the unknown field and the count", got)
	}
	restart := group["RestartPolicy"].(object)
	if got := fmt.Sprintf("%v %v", restart["Attempts"], restart["Interval"]); got != fmt.Sprintf("2 %d", 30*time.Minute) {
		t.Errorf("restart policy: got %s, want Nomad's default", got)
	}
	if j.Type != "service" || j.Name != "web" || j.Priority != 50 || j.Groups[0].Tasks[0].Memory != 300 {
		t.Errorf("got type %s, name %s, priority %d, %+v", j.Type, j.Name, j.Priority, j.Groups[0].Tasks[0])
	}
}

func TestDefine_CommandsNeedTrust(t *testing.T) {
	if got := define(t, oneTask, false).Groups[0].Tasks[0].Command; got != nil {
		t.Errorf("not trusted: got command %q, want none", got)
	}
	if got := define(t, oneTask, true).Groups[0].Tasks[0].Command; !slices.Equal(got, []string{"/bin/true", "a", "2"}) {
		t.Errorf("trusted: got command %q", got)
	}
	described := define(t, oneTask, false)
	described.Groups[0].Tasks[0].Command = []string{"sleep", "1"}
	if got := define(t, oneTask, false, described).Groups[0].Tasks[0].Command; !slices.Equal(got, []string{"sleep", "1"}) {
		t.Errorf("unchanged task: got command %q, want the described one", got)
	}
	changed := strings.Replace(oneTask, "/bin/true", "/bin/false", 1)
	if got := define(t, changed, false, described).Groups[0].Tasks[0].Command; got != nil {
		t.Errorf("changed task: got command %q, want none", got)
	}
}

func TestCompare_CountAndEnvironment(t *testing.T) {
	j := define(t, oneTask, false)
	scaled := define(t, strings.Replace(oneTask, `"Count":2`, `"Count":3`, 1), false)
	changed := define(t, strings.Replace(oneTask, `"V":"1"`, `"V":"2"`, 1), false)
	for name, tc := range map[string]struct {
		other         *Registration
		same, inPlace bool
	}{
		"itself": {define(t, oneTask, false), true, true}, "count": {scaled, false, true},
		"environment": {changed, false, false},
	} {
		same, inPlace := j.SameSpec(tc.other), j.CanUpdateInPlace(tc.other, j.Groups[0])
		if same != tc.same || inPlace != tc.inPlace {
			t.Errorf("%s: got same %v, in place %v, want %v, %v", name, same, inPlace, tc.same, tc.inPlace)
		}
	}
	d := changed.Diff(j)
	f := d.TaskGroups[0].Tasks[0].Fields
	if d.Type != "Edited" || len(f) != 1 || f[0].Name != "Env[V]" || f[0].New != "2" {
		t.Errorf("difference: got %+v, want Env[V] edited", d)
	}
}

func TestSetCount_LeavesOtherVersions(t *testing.T) {
	j := define(t, oneTask, false)
	next := *j
	next.Groups = slices.Clone(j.Groups)
	next.SetCount("g", 5)
	count := func(j *Registration) string {
		detail := JSONValue(j.Detail()).(object)["TaskGroups"].([]any)[0].(object)
		return fmt.Sprintf("%v %v", j.Groups[0].Count, detail["Count"])
	}
	if count(j) != "2 2" || count(&next) != "5 5" {
		t.Errorf("got %s and %s, want 2 and 5", count(j), count(&next))
	}
}

func TestParameterizedJob_Check(t *testing.T) {
	p := &ParameterizedJob{Payload: "forbidden", MetaRequired: []string{"file"}, MetaOptional: []string{"mode"}}
	for name, tc := range map[string]struct {
		payload string
		meta    map[string]string
		want    string
	}{
		"complete": {"", map[string]string{"file": "a", "mode": "b"}, ""},
		"missing":  {"", nil, "Dispatch did not provide required meta keys: [file]"},
		"unknown":  {"", map[string]string{"file": "a", "x": ""}, "Dispatch request included unpermitted metadata keys: [x]"},
		"payload":  {"p", nil, "Payload provided but forbidden by parameterized job"},
	} {
		err := p.Check([]byte(tc.payload), tc.meta)
		if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func TestRescheduleDelay_Grows(t *testing.T) {
	g := Group{Reschedule: &Reschedule{Delay: time.Minute, MaxDelay: 3 * time.Minute, DelayFunction: "exponential"}}
	var got []time.Duration
	for before := range 3 {
		got = append(got, g.RescheduleDelay("service", before))
	}
	if want := []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := (Group{}).RescheduleDelay("batch", 0); got != 5*time.Second {
		t.Errorf("batch: got %v, want Nomad's default of 5s", got)
	}
}
