package router

import (
	"context"
	"errors"
	"testing"

	"nomadctld/acl"
	"nomadctld/backends"
)

func TestQuota(t *testing.T) {
	as := func(user string) context.Context { return backends.WithUser(t.Context(), user) }
	q := NewQuota("programs", 2, nil)
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
	if _, err := q.WithLimits(2, nil).Acquire(as("ann"), "a"); err == nil {
		t.Error("a quota with the same limit does not count what is open")
	}
	if _, err := q.WithLimits(3, nil).Acquire(as("ann"), "a"); err != nil {
		t.Errorf("with a higher limit: %v", err)
	}
	var none *Quota
	if _, err := none.Acquire(as("ann"), "a"); err != nil {
		t.Error(err)
	}
}

func TestQuota_Groups(t *testing.T) {
	as := func(user string, groups ...string) context.Context {
		u := acl.User{Login: user}
		for _, name := range groups {
			u.Groups = append(u.Groups, acl.Group{Name: name})
		}
		return withUser(t.Context(), u)
	}
	q := NewQuota("logs", 10, map[string]int{"team1": 1})
	release, err := q.Acquire(as("ann", "team0", "team1"), "a")
	if err != nil {
		t.Fatal(err)
	}
	_, err = q.Acquire(as("bob", "team1"), "a")
	want := "too many programs or logs are open: prefix group team1 may open 1 logs on one cluster; close one and retry"
	if !errors.Is(err, backends.ErrLimitReached) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := q.Acquire(as("bob", "team0"), "a"); err != nil {
		t.Errorf("another group: %v", err)
	}
	release()
	if _, err := q.Acquire(as("bob", "team1"), "a"); err != nil {
		t.Errorf("after the release: %v", err)
	}
	if _, err := q.WithLimits(10, nil).Acquire(as("ann", "team1"), "a"); err != nil {
		t.Errorf("without a limit of the group: %v", err)
	}
}
