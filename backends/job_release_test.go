package backends

import (
	"encoding/json"
	"testing"
)

const releaseA = `{"ID":"p-web","Version":1,"JobModifyIndex":9,"Stable":true,"Status":"running","Stop":false,
	"SubmitTime":7,"VersionTag":null,"Meta":null,"Future":{"x":1.50},"TaskGroups":[
		{"Name":"web","Count":2,"Scaling":{"ID":"a","Min":1,"Max":5,"CreateIndex":3,"Enabled":true},
			"Tasks":[{"Name":"web","Env":{"MODE":"a"},"Templates":[]}]},
		{"Name":"db","Count":1}]}`

func TestReleaseOf_IgnoresServerFields(t *testing.T) {
	now, err := ReleaseOf(json.RawMessage(releaseA))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		definition string
		sameID     bool
		same       bool
	}{
		"fields of Nomad": {`{"TaskGroups":[
			{"Count":2,"Name":"web","Scaling":{"ID":"b","Min":1,"Max":5,"Enabled":true,"ModifyIndex":8},
				"Tasks":[{"Name":"web","Env":{"MODE":"a"},"Templates":null}]},{"Name":"db","Count":1}],
			"ID":"p-web","Version":4,"JobModifyIndex":19,"Stable":false,"Status":"dead","Stop":true,"SubmitTime":8,
			"VersionTag":{"Name":"x"},"Meta":{},"Future":{"x":1.50}}`, true, true},
		"counts": {`{"ID":"p-web","Future":{"x":1.50},"TaskGroups":[
			{"Name":"web","Count":3,"Scaling":{"Min":1,"Max":5,"Enabled":true},
				"Tasks":[{"Name":"web","Env":{"MODE":"a"}}]},{"Name":"db","Count":1}]}`, true, false},
		"scaling": {`{"ID":"p-web","Future":{"x":1.50},"TaskGroups":[
			{"Name":"web","Count":2,"Scaling":{"Min":1,"Max":6,"Enabled":true},
				"Tasks":[{"Name":"web","Env":{"MODE":"a"}}]},{"Name":"db","Count":1}]}`, false, false},
		"a field of a newer Nomad": {`{"ID":"p-web","Future":{"x":1.51},"TaskGroups":[
			{"Name":"web","Count":2,"Scaling":{"Min":1,"Max":5,"Enabled":true},
				"Tasks":[{"Name":"web","Env":{"MODE":"a"}}]},{"Name":"db","Count":1}]}`, false, false},
		"a task": {`{"ID":"p-web","Future":{"x":1.50},"TaskGroups":[
			{"Name":"web","Count":2,"Scaling":{"Min":1,"Max":5,"Enabled":true},
				"Tasks":[{"Name":"web","Env":{"MODE":"b"}}]},{"Name":"db","Count":1}]}`, false, false},
		"a missing group": {`{"ID":"p-web","Future":{"x":1.50},"TaskGroups":[
			{"Name":"web","Count":2,"Scaling":{"Min":1,"Max":5,"Enabled":true},
				"Tasks":[{"Name":"web","Env":{"MODE":"a"}}]}]}`, false, false},
	} {
		then, err := ReleaseOf(json.RawMessage(tc.definition))
		if err != nil || (then.ID == now.ID) != tc.sameID || then.Equal(now) != tc.same {
			t.Errorf("%s: got the same ID %v, the same %v, %v; want %v, %v", name, then.ID == now.ID, then.Equal(now), err,
				tc.sameID, tc.same)
		}
	}
	if web, ok := now.Group("web"); !ok || web.Count != 2 || web.Range == nil || *web.Range != (CountRange{1, 5}) {
		t.Errorf("got %+v", web)
	}
	if db, ok := now.Group("db"); !ok || db.Count != 1 || db.Range != nil || db.Scaling != "" {
		t.Errorf("got %+v", db)
	}
	for _, broken := range []string{
		``, `null x`, `[]`, `{"TaskGroups":[1]}`,
		`{"TaskGroups":[{"Name":"a","Count":1.5}]}`,
	} {
		if r, err := ReleaseOf(json.RawMessage(broken)); err == nil {
			t.Errorf("%s: got %+v, want an error", broken, r)
		}
	}
}

func TestWithCounts_OnlyCounts(t *testing.T) {
	changed, err := WithCounts(json.RawMessage(releaseA), map[string]int{"web": 4, "gone": 9})
	if err != nil {
		t.Fatal(err)
	}
	was, _ := ReleaseOf(json.RawMessage(releaseA))
	is, err := ReleaseOf(changed)
	if err != nil || is.ID != was.ID || is.Equal(was) {
		t.Errorf("got %+v, %v", is, err)
	}
	web, _ := is.Group("web")
	db, _ := is.Group("db")
	if web.Count != 4 || db.Count != 1 {
		t.Errorf("got %+v and %+v", web, db)
	}
	var head struct {
		Version uint64
		Future  struct{ X json.Number }
	}
	if json.Unmarshal(changed, &head) != nil || head.Version != 1 || head.Future.X != "1.50" {
		t.Errorf("got %+v, want numbers as they were", head)
	}
	for _, broken := range []string{``, `{}`, `{"TaskGroups":[{"Name":1}]}`} {
		if text, err := WithCounts(json.RawMessage(broken), nil); err == nil {
			t.Errorf("%s: got %s, want an error", broken, text)
		}
	}
}
