package acl

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nomadctld/internal/authkeys"
	"nomadctld/internal/krl"
	"nomadctld/internal/testenv/keygentest"
)

var (
	noon   = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	home   = netip.MustParseAddr("192.0.2.7")
	groups = []Group{{Name: "team1", Prefixes: []string{"p-team1-"}, Rights: []string{"ps", "stop"}}}
)

// keysOf parses lines of a keys file.
func keysOf(t *testing.T, lines ...string) []authkeys.Key {
	t.Helper()
	keys, errs := authkeys.Parse([]byte(strings.Join(lines, "\n")), time.UTC)
	if errs != nil {
		t.Fatal(errs)
	}
	return keys
}

// proof returns a proof of a key or certificate in the directory.
func proof(login string, dir keygentest.Dir, key string) Proof {
	return Proof{Login: login, Key: string(dir.Public(key).Marshal()), Remote: home, Time: noon}
}

func TestFind_Key(t *testing.T) {
	t.Parallel()
	dir := keygentest.New(t)
	dir.NewKeys("a", "b", "c", "d")
	d := NewDirectory(Rules{Accounts: []Account{
		{User: User{Login: "ann", Groups: groups}, Keys: keysOf(t, dir.Line("a"), dir.Line("b"))},
		{User: User{Login: "bob", Groups: groups}, Keys: keysOf(t, dir.Line("c"))},
		{User: User{Login: "nobody"}, Keys: keysOf(t, dir.Line("d"))},
		{User: User{Login: "nokey", Groups: groups}},
	}})
	for _, tc := range []struct {
		login, key string
		want       bool
	}{
		{"ann", "a", true},
		{"ann", "b", true},
		{"bob", "c", true},
		{"ann", "c", false},
		{"bob", "a", false},
		{"eve", "a", false},
		{"", "a", false},
		{"Ann", "a", false},
		{"nobody", "d", false}, // in no group
		{"nokey", "a", false},
	} {
		got, err := d.Find(proof(tc.login, dir, tc.key))
		if (err == nil) != tc.want || tc.want && got.User.Login != tc.login {
			t.Errorf("Find(%q, %q) = %q, %v, want %v", tc.login, tc.key, got.User.Login, err, tc.want)
		}
	}
	for _, key := range []string{"", "key", dir.Line("a")} {
		if _, err := d.Find(Proof{Login: "ann", Key: key}); !errors.Is(err, ErrNoSuchUser) {
			t.Errorf("the key %q: got %v", key, err)
		}
	}
}

func TestFind_KeyOptions(t *testing.T) {
	t.Parallel()
	dir := keygentest.New(t)
	dir.NewKeys("a")
	for options, want := range map[string]string{
		"":                              "",
		`from="192.0.2.0/24" `:          "",
		`from="10.0.0.0/8" `:            "the key may not be used from this address",
		`expiry-time="20260601120000" `: "",
		`expiry-time="20260601115959" `: "the key expired at 2026-06-01T11:59:59Z",
		`cert-authority `:               "no such user with that key",
	} {
		d := NewDirectory(Rules{Accounts: []Account{
			{User: User{Login: "ann", Groups: groups}, Keys: keysOf(t, options+dir.Line("a"))},
		}})
		_, err := d.Find(proof("ann", dir, "a"))
		if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", options, err, want)
		}
	}
	d := NewDirectory(Rules{Accounts: []Account{{User: User{Login: "ann", Groups: groups}, Keys: keysOf(t,
		`from="10.0.0.0/8" `+dir.Line("a"),
		`restrict,command="ps",expiry-time="20270101" `+dir.Line("a"),
	)}}})
	login, err := d.Find(proof("ann", dir, "a"))
	if err != nil || login.Command == nil || *login.Command != "ps" ||
		!strings.Contains(login.NoTerminal, "does not permit terminals") ||
		!strings.Contains(login.NoForwarding, "does not permit port forwarding") ||
		!login.Expires.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the second line: got %+v, %v", login, err)
	}
}

func TestFind_Revoked(t *testing.T) {
	t.Parallel()
	dir := keygentest.New(t)
	dir.NewKeys("a")
	list, err := krl.Parse([]byte(dir.Line("a")))
	if err != nil {
		t.Fatal(err)
	}
	rules := Rules{Accounts: []Account{{User: User{Login: "ann", Groups: groups}, Keys: keysOf(t, dir.Line("a"))}}}
	if _, err := NewDirectory(rules).Find(proof("ann", dir, "a")); err != nil {
		t.Error(err)
	}
	rules.Revoked = list
	if _, err := NewDirectory(rules).Find(proof("ann", dir, "a")); err == nil || err.Error() != "the key is revoked" {
		t.Errorf("got %v", err)
	}
}

func TestFind_From(t *testing.T) {
	t.Parallel()
	dir := keygentest.New(t)
	dir.NewKeys("a")
	here := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	away := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	team2 := Group{Name: "team2", Prefixes: []string{"p-team2-"}, Rights: []string{"ps"}}
	from := func(g Group, networks []netip.Prefix) Group { g.From = networks; return g }
	for _, tc := range []struct {
		name   string
		user   []netip.Prefix
		groups []Group
		want   string
		ps     []string // jobs on which the login has the right ps
	}{
		{"user from here", here, []Group{groups[0]}, "", []string{"p-team1-x"}},
		{"user from elsewhere", away, []Group{groups[0]}, "the user may not log in from this address", nil},
		{"user from nowhere", []netip.Prefix{}, []Group{groups[0]}, "the user may not log in from this address", nil},
		{"one group", nil, []Group{from(groups[0], away), from(team2, here)}, "", []string{"p-team2-x"}},
		{"no group", nil, []Group{from(groups[0], away)}, "none of the user's prefix groups allows this address", nil},
	} {
		d := NewDirectory(Rules{Accounts: []Account{
			{User: User{Login: "ann", Groups: tc.groups}, Keys: keysOf(t, dir.Line("a")), From: tc.user},
		}})
		login, err := d.Find(proof("ann", dir, "a"))
		if err == nil && tc.want != "" || err != nil && (tc.want == "" || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
		for _, job := range []string{"p-team1-x", "p-team2-x"} {
			want := len(tc.ps) > 0 && tc.ps[0] == job
			if got := login.User.Scope("ps", tiers).Owns(rootRef("production", "default", job)); got != want {
				t.Errorf("%s: ps on %s: got %v, want %v", tc.name, job, got, want)
			}
		}
	}
}

// TestFind_Require checks that rights which require a certificate or a security key are not granted without it, and
// that the decision states why.
func TestFind_Require(t *testing.T) {
	t.Parallel()
	group := groups[0]
	group.Require = map[string][]Factor{"stop": {FactorCertificate, FactorSecurityKey}}
	both := []Factor{FactorCertificate, FactorSecurityKey}
	for _, tc := range []struct {
		name   string
		proven []Factor
		locked string
	}{
		{"key", nil, "to a login with a certificate and a security key"},
		{"certificate", both[:1], "to a login with a security key"},
		{"security key", both[1:], "to a login with a certificate"},
		{"certificate of a security key", both, ""},
	} {
		u := User{Login: "ann", Groups: []Group{group}}.restrict(home, tc.proven)
		allowed := tc.locked == ""
		job := rootRef("production", "default", "p-team1-x")
		if !u.May("ps") || u.May("stop") != allowed || u.Scope("stop", tiers).Owns(job) != allowed {
			t.Errorf("%s: may ps: %v, may stop: %v", tc.name, u.May("ps"), u.May("stop"))
		}
		if got := u.Locked("stop"); got != tc.locked {
			t.Errorf("%s: got locked %q, want %q", tc.name, got, tc.locked)
		}
		decision := u.Decide("stop", job, tiers)[0]
		want := "prefix group team1 grants stop on this job only " + tc.locked
		if decision.Allowed != allowed || !allowed && decision.Reason != want {
			t.Errorf("%s: got %+v, want %q", tc.name, decision, want)
		}
	}
	if len(group.Rights) != 2 {
		t.Errorf("the group has changed: %+v", group)
	}
	open := groups[0]
	open.Name = "open"
	u := User{Groups: []Group{group, open}}.restrict(home, nil)
	decision := u.Decide("stop", rootRef("production", "", "p-team1-x"), tiers)[0]
	if !u.May("stop") || u.Locked("stop") != "" || !decision.Allowed {
		t.Error("another group grants stop without a certificate, but it is locked")
	}
}
