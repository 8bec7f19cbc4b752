package nomadsim

import (
	"slices"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestACL_LimitsLists(t *testing.T) {
	c := mixedCluster()
	c.AddToken("root", Rights{Management: true})
	c.AddToken("other", Rights{Namespaces: map[string][]string{"other": {"list-jobs", "read-job"}}})
	c.AddToken("lister", Rights{Namespaces: map[string][]string{"*": {"list-jobs"}}, NodeRead: true})
	c.AddToken("but other", Rights{Namespaces: map[string][]string{"*": {"read-job"}, "other": {"list-jobs"}}})
	c.AddToken("gone", Rights{Namespaces: map[string][]string{"no such namespace": {"list-jobs"}}})
	c.AddToken("nothing", Rights{})
	all := []string{
		"default/p-team1-web", "default/p-team10-web", "default/q-fail", "default/q-team1-import", "other/p-team1-web",
	}
	url, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const no = "denied"
	for _, test := range []struct {
		token, Namespace string
		jobs, allocs     []string
		nodes            bool
	}{
		{"root", "*", all, all, true},
		{"other", "*", all[4:], all[4:], false},
		{"other", "other", all[4:], all[4:], false},
		{"other", "default", []string{no}, []string{no}, false},
		{"lister", "*", all, []string{no}, true},
		{"but other", "*", all[4:], all[:4], false},
		{"gone", "*", nil, []string{no}, false},
		{"nothing", "*", []string{no}, []string{no}, false},
		{"", "default", []string{no}, []string{no}, false},
		{"unknown", "*", []string{no}, []string{no}, false},
	} {
		n := client(t, url, test.token)
		q := &api.QueryOptions{Namespace: test.Namespace}
		jobs, _, err := n.Jobs().List(q)
		got := slices.Sorted(slices.Values(jobIDs(jobs)))
		if err != nil {
			wantStatus(t, err, 403, "Permission denied")
			got = []string{no}
		}
		wantList(t, "jobs for "+test.token+" in "+test.Namespace, got, test.jobs)
		allocs, _, err := n.Allocations().List(q)
		got = slices.Sorted(slices.Values(allocJobs(allocs)))
		if err != nil {
			wantStatus(t, err, 403, "Permission denied")
			got = []string{no}
		}
		wantList(t, "allocations for "+test.token+" in "+test.Namespace, got, test.allocs)
		if _, _, err := n.Nodes().List(nil); (err == nil) != test.nodes {
			t.Errorf("nodes for %s: got error %v, want allowed %v", test.token, err, test.nodes)
		}
	}
}

func TestACL_AllocationNeedsReadJob(t *testing.T) {
	c := mixedCluster()
	c.AddToken("root", Rights{Management: true})
	c.AddToken("other", Rights{Namespaces: map[string][]string{"other": {"read-job"}}})
	id := c.Allocations("default", "p-team1-web")[0]
	for _, test := range []struct {
		token, path string
		status      int
		want        string
	}{
		{"other", "/v1/allocation/" + id, 500, `Unknown allocation "` + id + `"`}, // as in Nomad
		{"other", "/v1/client/allocation/" + id + "/stats", 403, "Permission denied"},
		{"other", "/v1/job/p-team1-web", 403, "Permission denied"},
		{"unknown", "/v1/allocation/" + id, 403, "Permission denied"},
	} {
		if w := get(c, test.path, "X-Nomad-Token", test.token); w.Code != test.status || w.Body.String() != test.want {
			t.Errorf("%s for %s: got %d %q, want %d %q", test.path, test.token, w.Code, w.Body, test.status, test.want)
		}
	}
	if w := get(c, "/v1/allocation/"+id, "Authorization", "Bearer root"); w.Code != 200 {
		t.Errorf("bearer token: got %d %s, want 200", w.Code, w.Body)
	}
}

func TestACL_TokenSelf(t *testing.T) {
	c := New()
	n := dial(t, c, "")
	self, _, err := n.ACLTokens().Self(nil)
	if err != nil || self.AccessorID != "acls-disabled" {
		t.Errorf("without ACL: got %+v, %v, want acls-disabled", self, err)
	}
	c.AddToken("root", Rights{Management: true})
	if self, _, err = n.ACLTokens().Self(nil); err != nil || self.AccessorID != "anonymous" {
		t.Errorf("without a token: got %+v, %v, want anonymous", self, err)
	}
	n.SetSecretID("root")
	if self, _, err = n.ACLTokens().Self(nil); err != nil || self.Type != "management" || self.SecretID != "root" {
		t.Errorf("root: got %+v, %v, want management", self, err)
	}
	n.SetSecretID("unknown")
	_, _, err = n.ACLTokens().Self(nil)
	wantStatus(t, err, 403, "Permission denied")
}

func TestNamespaces_LimitedByToken(t *testing.T) {
	c := mixedCluster()
	c.AddToken("other", Rights{Namespaces: map[string][]string{"other": {"read-job"}}})
	c.AddNamespace("third")
	n := dial(t, c, "other")
	list, _, err := n.Namespaces().List(nil)
	if err != nil || len(list) != 1 || list[0].Name != "other" {
		t.Errorf("namespaces: got %v, %v, want other", list, err)
	}
}
