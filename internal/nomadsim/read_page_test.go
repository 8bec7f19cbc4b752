package nomadsim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestLists_NamespaceAndPrefix(t *testing.T) {
	n := dial(t, mixedCluster(), "")
	for _, test := range []struct {
		Namespace, prefix string
		want              []string
	}{
		{"", "", []string{"default/p-team1-web", "default/p-team10-web", "default/q-fail", "default/q-team1-import"}},
		{"*", "p-", []string{"default/p-team1-web", "other/p-team1-web", "default/p-team10-web"}},
		{"*", "p-team1-", []string{"default/p-team1-web", "other/p-team1-web"}},
		{"other", "", []string{"other/p-team1-web"}},
		{"no such namespace", "", nil},
	} {
		jobs, _, err := n.Jobs().List(&api.QueryOptions{Namespace: test.Namespace, Prefix: test.prefix})
		if err != nil {
			t.Fatal(err)
		}
		wantList(t, fmt.Sprintf("jobs of %q with %q", test.Namespace, test.prefix), jobIDs(jobs), test.want)
	}
	allocs, _, err := n.Allocations().List(&api.QueryOptions{Namespace: "other"})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, "allocations of other", allocJobs(allocs), []string{"other/p-team1-web"})
	found, _, err := n.Allocations().List(&api.QueryOptions{Namespace: "*", Prefix: allocs[0].ID[:8]})
	if err != nil || len(found) != 1 || found[0].ID != allocs[0].ID {
		t.Errorf("allocations with prefix %s: got %v, %v, want that one", allocs[0].ID[:8], found, err)
	}
}

func TestLists_Filter(t *testing.T) {
	n := dial(t, mixedCluster(), "")
	for filter, want := range map[string][]string{
		`JobID matches "^(p-team1-|q-)"`: {
			"default/p-team1-web", "default/q-fail", "default/q-team1-import", "other/p-team1-web",
		},
		`JobID matches "^p-team1-" and Namespace != other`: {"default/p-team1-web"},
		`"compl" in ClientStatus or failed not in JobID and ClientStatus == failed`: {
			"default/q-fail", "default/q-team1-import",
		},
		`"fail" in JobID or ClientStatus == "complete"`: {
			"default/q-fail", "default/q-team1-import",
		},
		`JobID contains "team10"`: {"default/p-team10-web"},
		`not (ClientStatus == running)`: {
			"default/q-fail", "default/q-team1-import",
		},
		`Job.Type == "system" and DesiredStatus == "run"`: {"default/p-team10-web"},
		`TaskStates.main.State == "dead" and NodeName != x`: {
			"default/q-fail", "default/q-team1-import",
		},
	} {
		allocs, _, err := n.Allocations().List(&api.QueryOptions{Namespace: "*", Filter: filter})
		if err != nil {
			t.Errorf("%s: %v", filter, err)
		}
		got := allocJobs(allocs)
		slices.Sort(got)
		wantList(t, filter, got, want)
	}
	for filter, want := range map[string][]string{
		`ID matches "^(p-team1-)"`:             {"default/p-team1-web", "other/p-team1-web"},
		`Status == "dead" and Type == "batch"`: {"default/q-team1-import"},
		`ParentID != ""`:                       nil,
	} {
		jobs, _, err := n.Jobs().List(&api.QueryOptions{Namespace: "*", Filter: filter})
		if err != nil {
			t.Errorf("%s: %v", filter, err)
		}
		wantList(t, filter, jobIDs(jobs), want)
	}
}

func TestLists_Pages(t *testing.T) {
	t.Parallel()
	c := bigCluster(30) // ten allocations share an index
	c.AddJob(Job{Namespace: "other", ID: "p-x"})
	n := dial(t, c, "")
	lists := map[string]func(q *api.QueryOptions) (ids []string, meta *api.QueryMeta, err error){
		"jobs": func(q *api.QueryOptions) ([]string, *api.QueryMeta, error) {
			rows, meta, err := n.Jobs().List(q)
			return jobIDs(rows), meta, err
		},
		"allocations": func(q *api.QueryOptions) (ids []string, meta *api.QueryMeta, err error) {
			rows, meta, err := n.Allocations().List(q)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, meta, err
		},
		"evaluations": func(q *api.QueryOptions) (ids []string, meta *api.QueryMeta, err error) {
			rows, meta, err := n.Evaluations().List(q)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, meta, err
		},
		"deployments": func(q *api.QueryOptions) (ids []string, meta *api.QueryMeta, err error) {
			rows, meta, err := n.Deployments().List(q)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, meta, err
		},
		"nodes": func(q *api.QueryOptions) (ids []string, meta *api.QueryMeta, err error) {
			rows, meta, err := n.Nodes().List(q)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, meta, err
		},
	}
	for name, list := range lists {
		for _, q := range []api.QueryOptions{
			{PerPage: 7, Namespace: "*"},
			{PerPage: 1000, Namespace: "*"},
			{PerPage: 7, Reverse: true},
			{PerPage: 3, Namespace: "*", Filter: `ID matches "[0-7]$"`},
			{PerPage: 2, Prefix: "1a"},
		} {
			all := q
			all.PerPage = 0
			want, _, err := list(&all)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var got []string
			for more := true; more; more = q.NextToken != "" {
				ids, meta, err := list(&q)
				if err != nil || len(ids) > int(q.PerPage) || len(got) > len(want) {
					t.Fatalf("%s: got a page of %d after %d rows, error %v, want at most %d", name, len(ids), len(got), err, q.PerPage)
				}
				got = append(got, ids...)
				q.NextToken = meta.NextToken
			}
			slices.Sort(got) // the client sorts each page
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d %s: got %d rows, want these %d", q.PerPage, name, len(got), len(want))
			}
		}
	}
}

func TestLists_Order(t *testing.T) {
	c := bigCluster(12)
	c.AddJob(Job{Namespace: "a-first", ID: "z"})
	type row struct {
		ID, Namespace string
		CreateIndex   uint64
	}
	byName := func(a, b row) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ID, b.ID))
	}
	byCreation := func(a, b row) int {
		return cmp.Or(cmp.Compare(a.CreateIndex, b.CreateIndex), cmp.Compare(a.ID, b.ID))
	}
	byID := func(a, b row) int { return cmp.Compare(a.ID, b.ID) }
	for path, order := range map[string]func(a, b row) int{
		"/v1/jobs?namespace=*":                 byName,
		"/v1/allocations?namespace=*":          byCreation,
		"/v1/evaluations?namespace=*":          byCreation,
		"/v1/deployments?namespace=*":          byCreation,
		"/v1/nodes":                            byID,
		"/v1/job/p-team1-job1/allocations":     byID,
		"/v1/allocations?reverse=true":         func(a, b row) int { return byCreation(b, a) },
		"/v1/jobs?namespace=*&reverse=true":    func(a, b row) int { return byName(b, a) },
		"/v1/allocations?prefix=1a&per_page=9": byID,
	} {
		var rows []row
		if err := json.Unmarshal(get(c, path).Body.Bytes(), &rows); err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(rows, order) {
			t.Errorf("%s: got %v, want another order", path, rows)
		}
	}
}
