package backends

import (
	"encoding/json"
	"testing"
)

func TestJobRef(t *testing.T) {
	want := JobRef{Tier: "production", Namespace: "eu", ID: "web/dispatch-1", Root: "web"}
	job := Job{Tier: "production", Namespace: "eu", ID: "web/dispatch-1", Root: "web", Parent: "web"}
	if got := job.Ref(); got != want {
		t.Errorf("of the job: got %+v, want %+v", got, want)
	}
	a := Allocation{
		Tier: "production", Namespace: "eu", JobID: "web/dispatch-1", Root: "web", ID: "1111", Name: "web.g[0]",
	}
	if got := a.JobRef(); got != want {
		t.Errorf("of the allocation: got %+v, want %+v", got, want)
	}
}

// TestJobRef_JSON checks the format in which saved definitions and operations are stored.
func TestJobRef_JSON(t *testing.T) {
	ref := JobRef{Tier: "production", Namespace: "eu", ID: "web/dispatch-1", Root: "web"}
	const want = `{"tier":"production","namespace":"eu","id":"web/dispatch-1","root":"web"}`
	got, err := json.Marshal(ref)
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	var parsed JobRef
	if err := json.Unmarshal(got, &parsed); err != nil || parsed != ref {
		t.Errorf("parsed %+v, %v", parsed, err)
	}
}
