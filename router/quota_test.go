package router

import (
	"context"
	"errors"
	"testing"

	"nomadctld/backends"
)

func TestQuota(t *testing.T) {
	as := func(user string) context.Context { return backends.WithUser(t.Context(), user) }
	q := NewQuota("programs", 2)
	var releases []func()
	for range 2 {
		release, err := q.Acquire(as("ann"), "a")
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release)
	}
	_, err := q.Acquire(as("ann"), "a")
	want := "too many programs or logs are open: user ann may open 2 programs on one cluster; close one and retry"
	if !errors.Is(err, backends.ErrLimitReached) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for user, cluster := range map[string]string{"ann": "b", "bob": "a"} {
		if _, err := q.Acquire(as(user), cluster); err != nil {
			t.Errorf("%s on %s: %v", user, cluster, err)
		}
	}
	releases[0]()
	releases[0]()
	if _, err := q.Acquire(as("ann"), "a"); err != nil {
		t.Error(err)
	}
	if _, err := q.Acquire(as("ann"), "a"); err == nil {
		t.Error("a slot was given back twice")
	}
	if _, err := q.WithLimit(2).Acquire(as("ann"), "a"); err == nil {
		t.Error("a quota with the same limit does not count what is open")
	}
	if _, err := q.WithLimit(3).Acquire(as("ann"), "a"); err != nil {
		t.Errorf("with a higher limit: %v", err)
	}
	var none *Quota
	if _, err := none.Acquire(as("ann"), "a"); err != nil {
		t.Error(err)
	}
}
