package acl

import "testing"

func TestScope_Covers(t *testing.T) {
	ps := []string{"ps"}
	group := func(prefix string, namespaces ...string) Group {
		return Group{Prefixes: []string{prefix}, Rights: ps, Namespaces: namespaces}
	}
	all := []Tier{{Name: "a", Prefixes: []string{"p-"}}, {Name: "b", Prefixes: []string{"q-"}}}
	for _, tc := range []struct {
		name     string
		old, now []Group
		tiers    []Tier // now
		want     bool
	}{
		{"same", []Group{group("p-x-")}, []Group{group("p-x-")}, all, true},
		{"wider", []Group{group("p-x-")}, []Group{group("p-")}, all, true},
		{"narrower", []Group{group("p-")}, []Group{group("p-x-")}, all, false},
		{"group moved", []Group{group("p-x-"), group("p-y-")}, []Group{group("p-y-"), group("p-x-")}, all, true},
		{"group removed", []Group{group("p-x-"), group("p-y-")}, []Group{group("p-y-")}, all, false},
		{"none left", []Group{group("p-x-")}, nil, all, false},
		{"tier removed", []Group{group("")}, []Group{group("")}, all[:1], false},
		{"tier added", []Group{group("p-")}, []Group{group("p-"), group("q-")}, all, true},
		{"namespaces restricted", []Group{group("p-")}, []Group{group("p-", "eu")}, all, false},
		{"namespace removed", []Group{group("p-", "eu", "us")}, []Group{group("p-", "eu")}, all, false},
		{"namespaces split", []Group{group("p-", "eu", "us")}, []Group{group("p-", "us"), group("p-", "eu")}, all, true},
		{"namespaces lifted", []Group{group("p-", "eu")}, []Group{group("p-")}, all, true},
		{
			"another prefix in the namespace",
			[]Group{group("p-x-", "eu")},
			[]Group{group("p-y-", "eu"), group("p-x-", "us")},
			all, false,
		},
		{"right removed", []Group{group("p-")}, []Group{{Prefixes: []string{"p-"}, Rights: []string{"logs"}}}, all, false},
		{"nothing before", nil, nil, all, true},
	} {
		old, now := user(tc.old...).Scope("ps", all), user(tc.now...).Scope("ps", tc.tiers)
		if got := now.Covers(old); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestScope_Only(t *testing.T) {
	all := []Tier{{Name: "a", Prefixes: []string{"p-"}}, {Name: "b", Prefixes: []string{"q-"}}}
	scope := user(Group{Prefixes: []string{""}, Rights: []string{"ps"}}).Scope("ps", all)
	only := scope.Only("a")
	if only.Covers(scope) || !scope.Covers(only) || len(only.Tiers()) != 1 || only.Tiers()[0] != "a" {
		t.Errorf("got tiers %q of %q, want a", only.Tiers(), scope.Tiers())
	}
	if none := scope.Only("c"); len(none.Tiers()) > 0 || none.Owns(rootRef("c", "", "p-x")) {
		t.Errorf("got tiers %q, want none", none.Tiers())
	}
}
