package router

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/authkeys"
	"nomadctld/internal/krl"
	"nomadctld/internal/ops"
)

// changes are configurations that follow that of newTestGateway(team1), and the commands that they stop.
var changes = []struct {
	name string
	next func() *testGateway
	lost map[string]string // by command line: the error; others continue
}{
	{"nothing", func() *testGateway { return newTestGateway(team1("probe")) }, nil},
	{"more rights", func() *testGateway {
		return newTestGateway(team1("probe", "other"), acl.Group{Prefixes: []string{"x-"}})
	}, nil},
	{"user removed", func() *testGateway {
		w := newTestGateway()
		w.Users = acl.NewDirectory(acl.Rules{})
		return w
	}, map[string]string{
		"public":            "your key is no longer accepted; ask the gateway's operator",
		"scope":             "your key is no longer accepted; ask the gateway's operator",
		"scope --tier prod": "your key is no longer accepted; ask the gateway's operator",
		"probe p-team1-web": "your key is no longer accepted; ask the gateway's operator",
	}},
	{"key revoked", func() *testGateway {
		w := newTestGateway(team1("probe"))
		w.Users = revokingDirectory()
		return w
	}, map[string]string{
		"public":            "your login is no longer accepted: the key is revoked",
		"scope":             "your login is no longer accepted: the key is revoked",
		"scope --tier prod": "your login is no longer accepted: the key is revoked",
		"probe p-team1-web": "your login is no longer accepted: the key is revoked",
	}},
	{"right requires a certificate", func() *testGateway {
		group := team1("probe")
		group.Require = map[string][]acl.Factor{"probe": {acl.FactorCertificate}}
		return newTestGateway(group)
	}, map[string]string{
		"probe p-team1-web": "you no longer have the probe right on p-team1-web; ask the gateway's operator",
	}},
	{"right removed", func() *testGateway { return newTestGateway(team1("scope")) }, map[string]string{
		"probe p-team1-web": "you no longer have the probe right on p-team1-web; ask the gateway's operator",
	}},
	{"prefix of another job removed", func() *testGateway {
		return newTestGateway(acl.Group{Prefixes: []string{"p-team1-w"}, Rights: []string{"probe", "scope"}})
	}, map[string]string{
		"scope":             "you no longer have the scope right on all the jobs that this command shows; run it again",
		"scope --tier prod": "you no longer have the scope right on all the jobs that this command shows; run it again",
	}},
	{"other tier removed", func() *testGateway {
		w := newTestGateway(team1("probe", "scope"))
		w.Tiers = w.Tiers[:1]
		return w
	}, map[string]string{
		"scope": "you no longer have the scope right on all the jobs that this command shows; run it again",
	}},
	{"tier has another address", func() *testGateway {
		w := newTestGateway(team1("probe", "scope"))
		w.Runtimes = &RuntimeSelector{ClusterOf: func(tier string) string { return tier + " moved" }}
		return w
	}, map[string]string{
		"scope":             "tier production has another address now; run the command again",
		"scope --tier prod": "tier production has another address now; run the command again",
		"probe p-team1-web": "tier production has another address now; run the command again",
	}},
	{"namespaces restricted", func() *testGateway {
		return newTestGateway(acl.Group{
			Prefixes: []string{"p-team1-", "q-team1-"}, Rights: []string{"probe", "scope"}, Namespaces: []string{"default"},
		})
	}, map[string]string{
		"scope":             "you no longer have the scope right on all the jobs that this command shows; run it again",
		"scope --tier prod": "you no longer have the scope right on all the jobs that this command shows; run it again",
	}},
	{"only one command left", func() *testGateway {
		w := newTestGateway(team1("probe"))
		w.Users = acl.NewDirectory(acl.Rules{Accounts: []acl.Account{{
			User: acl.User{Login: "ann", Groups: []acl.Group{team1("probe")}},
			Keys: []authkeys.Key{{
				Public: testPublicKey, Options: authkeys.Options{Command: new("probe 'p-team1-web'")},
			}},
		}}})
		return w
	}, map[string]string{
		"public":            "your login is now restricted to a different command; ask the gateway's operator",
		"scope":             "your login is now restricted to a different command; ask the gateway's operator",
		"scope --tier prod": "your login is now restricted to a different command; ask the gateway's operator",
	}},
}

// revokingDirectory returns a directory in which ann's key is revoked.
func revokingDirectory() *acl.Directory {
	list, err := krl.Parse(ssh.MarshalAuthorizedKey(testPublicKey))
	if err != nil {
		panic(err)
	}
	return acl.NewDirectory(acl.Rules{Revoked: list, Accounts: []acl.Account{{
		User: acl.User{Login: "ann", Groups: []acl.Group{team1("probe")}},
		Keys: []authkeys.Key{{Public: testPublicKey}},
	}}})
}

func team1(rights ...string) acl.Group {
	return acl.Group{Prefixes: []string{"p-team1-", "q-team1-"}, Rights: append(rights, "scope")}
}

// TestApply_StopsWhatLostAccess changes the configuration while each command runs, and before it starts with the
// handler of the earlier configuration.
func TestApply_StopsWhatLostAccess(t *testing.T) {
	for _, change := range changes {
		for _, line := range []string{"public", "scope", "scope --tier prod", "probe p-team1-web"} {
			t.Run(change.name+"/"+line, func(t *testing.T) {
				w := newTestGateway(team1("probe"))
				w.Running = new(Running)
				w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
				apply := true
				var cause error
				probe := func(ctx context.Context, req *Request) error {
					if apply {
						next := change.next()
						stopped := w.Running.Apply(next.Gateway)
						if lost := context.Cause(ctx) != nil; lost != (stopped == 1) {
							t.Errorf("Apply returned %d, the command was stopped: %v", stopped, lost)
						}
					}
					cause = context.Cause(ctx)
					return cause
				}
				register(t, Spec{Name: "public", Target: TargetNone}, probe)
				register(t, Spec{Name: "scope", Target: TargetScope}, probe)
				register(t, Spec{Name: "probe", Args: "JOB", Target: TargetJob}, probe)
				want := change.lost[line]
				err := w.run(line)
				if got := errorText(err); got != want || errorText(cause) != want {
					t.Errorf("got %q, cause %v, want %q", got, cause, want)
				}
				if e := w.event(t); e.Error != want {
					t.Errorf("audited %q, want %q", e.Error, want)
				}
				apply, cause = false, nil // the handler of the earlier configuration still accepts the command
				if got := errorText(w.run(line)); got != want || cause != nil {
					t.Errorf("started after the change: got %q, cause %v, want %q", got, cause, want)
				}
				if len(w.Running.tracked) != 0 {
					t.Errorf("%d commands are tracked after their end", len(w.Running.tracked))
				}
			})
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestApply_RequiredRight takes away a right that only a flag of the command needs.
func TestApply_RequiredRight(t *testing.T) {
	w := newTestGateway(team1("probe", "purge"))
	w.Running = new(Running)
	w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
	register(t, Spec{Name: "probe", Args: "JOB", Target: TargetJob}, func(ctx context.Context, req *Request) error {
		w.Running.Apply(newTestGateway(team1("probe")).Gateway)
		if ctx.Err() != nil {
			t.Error("stopped, but the command has not used the right yet")
		}
		w.Running.Apply(newTestGateway(team1("probe", "purge")).Gateway)
		if err := req.Require("purge"); err != nil {
			t.Error(err)
		}
		w.Running.Apply(newTestGateway(team1("probe")).Gateway)
		return context.Cause(ctx)
	})
	want := "you no longer have the purge right on p-team1-web; ask the gateway's operator"
	if got := errorText(w.run("probe p-team1-web")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestApply_HaltsOperation expects that an operation continues after its command, and stops when its user loses the
// right.
func TestApply_HaltsOperation(t *testing.T) {
	w := newTestGateway(team1("act"))
	w.Running = new(Running)
	w.Ops, _ = ops.Open("")
	w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
	before := commandTable
	defer func() { commandTable = before }()
	commandTable = map[string]func() Command{}
	spec := Spec{Name: "act", Args: "JOB", Target: TargetJob, RightSet: Operate}
	var op *ops.Op
	Register(func() Command {
		return probe{spec, func(ctx context.Context, req *Request) (err error) {
			op, err = req.Access.Operations.Start(ctx, func(_ context.Context, o ops.Operation) error {
				<-o.HaltRequested()
				return o.HaltReason()
			})
			return err
		}}
	})
	if err := w.run("act p-team1-web"); err != nil {
		t.Fatal(err)
	}
	if stopped := w.Running.Apply(newTestGateway(team1("act")).Gateway); stopped != 0 || op.HaltReason() != nil {
		t.Errorf("stopped %d without a change: %v", stopped, op.HaltReason())
	}
	if stopped := w.Running.Apply(newTestGateway(team1("ps")).Gateway); stopped != 1 {
		t.Errorf("stopped %d, want the operation", stopped)
	}
	want := "user ann no longer has this access"
	if err := op.Follow(t.Context(), func(ops.Note) error { return nil }); errorText(err) != want {
		t.Errorf("got %v, want %q", err, want)
	}
	if len(w.Running.tracked) != 0 {
		t.Errorf("%d operations are tracked after their end", len(w.Running.tracked))
	}
}

// TestApply_ExpiryHaltsNoOperation expects that a change of the configuration stops a command whose key has expired,
// and not the operation that it started before. If the key is revoked, the operation stops.
func TestApply_ExpiryHaltsNoOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gateway := func() *testGateway {
			w := newTestGateway()
			w.Users = acl.NewDirectory(acl.Rules{Accounts: []acl.Account{{
				User: acl.User{Login: "ann", Groups: []acl.Group{team1("act")}},
				Keys: []authkeys.Key{{Public: testPublicKey, Options: authkeys.Options{Expires: synctestStart.Add(time.Hour)}}},
			}}})
			return w
		}
		w := gateway()
		w.Running = new(Running)
		w.Ops, _ = ops.Open("")
		w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
		before := commandTable
		defer func() { commandTable = before }()
		commandTable = map[string]func() Command{}
		var op *ops.Op
		Register(func() Command {
			return probe{
				Spec{Name: "act", Args: "JOB", Target: TargetJob, RightSet: Operate},
				func(ctx context.Context, req *Request) (err error) {
					op, err = req.Access.Operations.Start(ctx, func(_ context.Context, o ops.Operation) error {
						<-o.HaltRequested()
						return o.HaltReason()
					})
					<-ctx.Done()
					return errors.Join(err, context.Cause(ctx))
				},
			}
		})
		failed := make(chan error)
		go func() { failed <- w.run("act p-team1-web") }()
		time.Sleep(2 * time.Hour)
		synctest.Wait() // the command has set op
		if stopped := w.Running.Apply(gateway().Gateway); stopped != 1 || op.HaltReason() != nil {
			t.Errorf("after the expiry: stopped %d, the operation: %v; want only the command", stopped, op.HaltReason())
		}
		if stopped := w.Running.Apply(gateway().Gateway); stopped != 0 {
			t.Errorf("stopped %d again", stopped)
		}
		const want = "your login is no longer accepted: the key expired at 2000-01-01T01:00:00Z"
		if err := <-failed; errorText(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
		revoked := gateway()
		revoked.Users = revokingDirectory()
		if stopped := w.Running.Apply(revoked.Gateway); stopped != 1 || op.HaltReason() == nil {
			t.Errorf("after the revocation: stopped %d, the operation: %v", stopped, op.HaltReason())
		}
		op.Follow(t.Context(), func(ops.Note) error { return nil })
	})
}

// synctestStart is the time at which a synctest bubble starts.
var synctestStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
