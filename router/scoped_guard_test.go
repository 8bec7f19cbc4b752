package router

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/safego"
)

func TestGuard(t *testing.T) {
	user := acl.User{Groups: []acl.Group{{Prefixes: []string{"p-team1-"}, Rights: []string{"stop"}}}}
	owned := user.Scope("stop", []acl.Tier{{Name: "production", Prefixes: []string{"p-"}}})
	web := backends.JobRef{Tier: "production", Namespace: "default", ID: "p-team1-web", Root: "p-team1-web"}
	with := func(change func(*backends.JobRef)) backends.JobRef {
		job := web
		change(&job)
		return job
	}
	down := errors.New("down")
	for name, tc := range map[string]struct {
		job    backends.JobRef
		f      func(client string) (int, error)
		want   string // the error; empty: none
		called bool
	}{
		"owned":        {web, nil, "", true},
		"another team": {with(func(j *backends.JobRef) { j.Root = "p-team2-web" }), nil, errNotOwned.Error(), false},
		"another tier": {with(func(j *backends.JobRef) { j.Tier = "quality" }), nil, errNotOwned.Error(), false},
		"without root": {with(func(j *backends.JobRef) { j.Root = "" }), nil, errNotOwned.Error(), false},
		"child":        {with(func(j *backends.JobRef) { j.ID += "/dispatch-1" }), nil, "", true},
		"error":        {web, func(string) (int, error) { return 0, down }, "tier production: down", true},
		"panic":        {web, func(string) (int, error) { panic("a detail") }, "tier production: internal error", true},
		"joined errors": {
			web, func(string) (int, error) { return 0, errors.Join(down, down) },
			"tier production: down\ntier production: down", true,
		},
	} {
		called := false
		got, err := guard(owned, func(tier string) string { return "client of " + tier }, tc.job,
			func(client string) (int, error) {
				called = true
				if client != "client of production" {
					t.Errorf("%s: got the %s", name, client)
				}
				if tc.f != nil {
					return tc.f(client)
				}
				return 7, nil
			})
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != tc.want || called != tc.called || err == nil && got != 7 {
			t.Errorf("%s: got %d, %q, called: %v, want %q, called: %v", name, got, text, called, tc.want, tc.called)
		}
	}
	err := guardError(owned, func(string) string { return "" }, web, func(string) error { panic("a detail") })
	if caught := (*safego.PanicError)(nil); !errors.As(err, &caught) {
		t.Errorf("got %v, want the panic", err)
	}
}

// TestScopes_EmbedNothing checks that the scopes cannot inherit a method that nobody has scoped.
func TestScopes_EmbedNothing(t *testing.T) {
	embeds := func(scope any) bool {
		return slices.ContainsFunc(reflect.VisibleFields(reflect.TypeOf(scope)),
			func(f reflect.StructField) bool { return f.Anonymous })
	}
	for _, scope := range []any{scopedCluster{}, scopedWriter{}} {
		if embeds(scope) {
			t.Errorf("%T embeds a type", scope)
		}
	}
	if !embeds(struct{ backends.Cluster }{}) {
		t.Error("an embedded cluster was not found")
	}
}
