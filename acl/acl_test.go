package acl

import (
	"slices"
	"testing"

	"nomadctld/backends"
)

var tiers = []Tier{
	{Name: "production", Aliases: []string{"prod"}, Prefixes: []string{"p-"}},
	{Name: "quality", Prefixes: []string{"q-", "t-"}},
}

// rootRef returns a reference to a job that is its own root.
func rootRef(tier, namespace, id string) backends.JobRef {
	return backends.JobRef{Tier: tier, Namespace: namespace, ID: id, Root: id}
}

// user returns a user whose groups grant ps and stop unless they have rights.
func user(groups ...Group) User {
	for i := range groups {
		if groups[i].Rights == nil {
			groups[i].Rights = []string{"ps", "stop"}
		}
	}
	return User{Login: "ann", Groups: groups}
}

func TestScope_Owns(t *testing.T) {
	team1 := Group{Prefixes: []string{"p-team1-", "q-team1-"}}
	for _, tc := range []struct {
		name           string
		groups         []Group
		tier, ns, root string
		want           bool
	}{
		{"own", []Group{team1}, "production", "default", "p-team1-web", true},
		{"any namespace", []Group{team1}, "production", "other", "p-team1-web", true},
		{"longer team name", []Group{team1}, "production", "default", "p-team10-web", false},
		{"other team", []Group{team1}, "production", "default", "p-team2-web", false},
		{"own name on the wrong tier", []Group{team1}, "quality", "default", "p-team1-web", false},
		{"unknown tier", []Group{team1}, "nope", "default", "p-team1-web", false},
		{"prefix shorter than the tier's", []Group{{Prefixes: []string{"p"}}}, "production", "default", "p-x", true},
		{"shorter prefix stays within the tier's", []Group{{Prefixes: []string{"p"}}}, "production", "default", "px", false},
		{"every job", []Group{{Prefixes: []string{""}}}, "quality", "default", "t-x", true},
		{"every job of the tier only", []Group{{Prefixes: []string{""}}}, "quality", "default", "p-x", false},
		{"namespace granted", []Group{{Prefixes: []string{"p-"}, Namespaces: []string{"a"}}}, "production", "a", "p-x", true},
		{
			"namespace not granted",
			[]Group{{Prefixes: []string{"p-"}, Namespaces: []string{"a"}}},
			"production", "b", "p-x",
			false,
		},
		{
			"no namespace at all",
			[]Group{{Prefixes: []string{"p-"}, Namespaces: []string{}}},
			"production", "default", "p-x",
			false,
		},
		{"namespaces do not mix between groups", []Group{
			{Prefixes: []string{"p-a-"}, Namespaces: []string{"a"}}, {Prefixes: []string{"p-b-"}},
		}, "production", "b", "p-a-x", false},
		{"no group", nil, "production", "default", "p-x", false},
		{"the item raw is not a prefix", []Group{{Rights: []string{"raw"}}}, "production", "default", "raw-job", false},
		{"other case", []Group{team1}, "production", "default", "P-team1-web", false},
		{"empty", []Group{team1}, "production", "default", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := user(tc.groups...).Scope("ps", tiers).Owns(rootRef(tc.tier, tc.ns, tc.root)); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestScope_PerRight(t *testing.T) {
	u := user(
		Group{Prefixes: []string{"p-a-"}, Rights: []string{"ps"}},
		Group{Prefixes: []string{"p-b-"}},
	)
	if !u.Scope("ps", tiers).Owns(rootRef("production", "default", "p-a-x")) {
		t.Error("ps on p-a-x: got no, want yes")
	}
	if u.Scope("stop", tiers).Owns(rootRef("production", "default", "p-a-x")) {
		t.Error("stop on p-a-x: got yes, want no")
	}
	if !u.Scope("stop", tiers).Owns(rootRef("production", "default", "p-b-x")) {
		t.Error("stop on p-b-x: got no, want yes")
	}
}

func TestScope_Prefixes(t *testing.T) {
	s := user(Group{Prefixes: []string{"p-team1-", "p-team1-web", "p-team2-", "t-x"}},
		Group{Prefixes: []string{"p-team1-"}}).Scope("ps", tiers)
	if got, want := s.Prefixes("production"), []string{"p-team1-", "p-team2-"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := s.Tiers(), []string{"production", "quality"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	only := user(Group{Prefixes: []string{"t-x"}}).Scope("ps", tiers)
	if got, want := only.Tiers(), []string{"quality"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, ok := only.Tier("prod"); ok {
		t.Error("alias prod: found a tier in which the user owns no jobs")
	}
	if name, ok := s.Tier("prod"); !ok || name != "production" {
		t.Errorf("alias prod: got %q, want production", name)
	}
}

// TestScope_OwnsByRoot checks that the root of a job decides, not its own ID.
func TestScope_OwnsByRoot(t *testing.T) {
	u := user(Group{Prefixes: []string{"p-team1-"}})
	for _, tc := range []struct {
		id, root string
		want     bool
	}{
		{"p-team1-web/dispatch-1", "p-team1-web", true},
		{"p-team1-web/dispatch-1", "p-team2-web", false},
		{"p-team2-web", "p-team1-web", true},
		{"p-team1-web", "", false},
	} {
		job := backends.JobRef{Tier: "production", Namespace: "default", ID: tc.id, Root: tc.root}
		if got := u.Scope("ps", tiers).Owns(job); got != tc.want {
			t.Errorf("%s, root %s: the scope owns it: %v, want %v", tc.id, tc.root, got, tc.want)
		}
		if got := u.Decide("ps", job, tiers)[0].Allowed; got != tc.want {
			t.Errorf("%s, root %s: the decision is %v, want %v", tc.id, tc.root, got, tc.want)
		}
	}
}

func TestDecide_Tiers(t *testing.T) {
	u := user(Group{Prefixes: []string{""}})
	both := []Tier{{Name: "a", Prefixes: []string{"p-"}}, {Name: "b", Prefixes: []string{"p-x"}}}
	for tier, want := range map[string][]string{"": {"a", "b"}, "a": {"a"}, "b": {"b"}, "c": {""}} {
		var got []string
		for _, decision := range u.Decide("ps", rootRef(tier, "", "p-x"), both) {
			got = append(got, decision.Tier)
		}
		if !slices.Equal(got, want) {
			t.Errorf("tier %q: got %q, want %q", tier, got, want)
		}
	}
}

func TestUser_May(t *testing.T) {
	u := User{Groups: []Group{{Rights: []string{"ps"}}, {Rights: []string{"logs"}}}}
	for right, want := range map[string]bool{"ps": true, "logs": true, "stop": false, "": false, "p": false} {
		if got := u.May(right); got != want {
			t.Errorf("%q: got %v, want %v", right, got, want)
		}
	}
}

func TestDecide_Reason(t *testing.T) {
	u := User{Groups: []Group{
		{Name: "team1", Prefixes: []string{"p-team1-", "t-"}, Rights: []string{"ps", "logs"}, Granted: []string{"@read"}},
		{Name: "shop", Prefixes: []string{"p-shop-"}, Rights: []string{"ps", "stop"}, Namespaces: []string{"eu"}},
		{Name: "none", Prefixes: []string{"q-"}, Granted: []string{}},
		{Name: "rawer", Prefixes: []string{"p-raw-"}, Rights: []string{"ps", "raw"}, Granted: []string{"@read"}},
		{Name: "onlyraw", Prefixes: []string{"p-only-"}, Rights: []string{"raw"}, Granted: []string{}},
	}}
	for _, tc := range []struct {
		right, root, namespace string
		want                   Decision
	}{
		{"ps", "p-team1-web", "", Decision{
			true, "production",
			"prefix group team1 grants @read on jobs whose IDs start with p-team1-",
		}},
		{"stop", "p-team1-web", "", Decision{Reason: "prefix group team1 matches this job, but grants only @read"}},
		{"stop", "p-shop-web", "", Decision{
			true, "production",
			"prefix group shop grants everything except @admin on jobs whose IDs start with p-shop- in namespace eu",
		}},
		{"stop", "p-shop-web", "us", Decision{Reason: "prefix group shop matches this job, but only in namespace eu"}},
		{"ps", "p-other", "", Decision{Reason: "none of your prefixes matches its ID"}},
		{"ps", "q-x", "", Decision{Reason: "prefix group none matches this job, but grants nothing"}},
		{"raw", "p-raw-x", "", Decision{
			true, "production",
			"prefix group rawer grants raw, @read on jobs whose IDs start with p-raw-",
		}},
		{"raw", "p-only-x", "", Decision{
			true, "production",
			"prefix group onlyraw grants raw on jobs whose IDs start with p-only-",
		}},
		{"ps", "x-y", "", Decision{Reason: "none of your prefixes matches its ID"}},
		{"ps", "t-web", "", Decision{true, "quality", "prefix group team1 grants @read on jobs whose IDs start with t-"}},
	} {
		if got := u.Decide(tc.right, rootRef("", tc.namespace, tc.root), tiers); len(got) != 1 || got[0] != tc.want {
			t.Errorf("%s %s %s: got %+v, want %+v", tc.right, tc.root, tc.namespace, got, tc.want)
		}
		// The decision must agree with the scope.
		if tc.namespace != "" || tc.want.Allowed {
			tier := "production"
			if tc.want.Allowed {
				tier = tc.want.Tier
			}
			if got := u.Scope(tc.right, tiers).Owns(rootRef(tier, max(tc.namespace, "eu"), tc.root)); got != tc.want.Allowed {
				t.Errorf("%s %s: the decision is %v, the scope owns it: %v", tc.right, tc.root, tc.want.Allowed, got)
			}
		}
	}
}
