package router

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"nomadctld/acl"
	"nomadctld/internal/audit"
	"nomadctld/internal/authkeys"
)

// withOptions gives the key of ann options of a keys file.
func (w *testGateway) withOptions(options authkeys.Options) {
	w.Users = acl.NewDirectory(acl.Rules{Accounts: []acl.Account{{
		User: acl.User{Login: "ann", Groups: []acl.Group{{Prefixes: []string{"p-"}, Rights: []string{"probe", "help"}}}},
		Keys: []authkeys.Key{{Public: testPublicKey, Options: options}},
	}}})
}

func TestOnlyCommand(t *testing.T) {
	ran := ""
	register(t, Spec{Name: "probe", Args: "[X...]", Target: TargetNone}, func(_ context.Context, req *Request) error {
		ran = strings.Join(req.Args, "|")
		return nil
	})
	for _, tc := range []struct {
		only, line string
		subsystem  bool
		want       string // the error; "" if the command runs
	}{
		{"probe a b", "", false, ""},
		{"probe a b", "probe a b", false, ""},
		{"probe a b", ` probe 'a'   "b"`, false, ""},
		{"probe a b", "probe a", false, "this login may only run: probe a b"},
		{"probe a b", "probe a b c", false, "this login may only run: probe a b"},
		{"probe a b", "probe 'a b'", false, "this login may only run: probe a b"},
		{"probe a b", "help", false, "this login may only run: probe a b"},
		{"probe a b", "probe 'a", false, "this login may only run: probe a b"},
		{"sftp", "sftp", true, "this login may only run: sftp"},
		{"/bin/sh -c id", "", false, "no command /bin/sh"},
		{"probe 'a", "", false, `this login is restricted to a command that is not valid: "probe 'a"`},
		{"probe 'a", "probe 'a", false, `this login is restricted to a command that is not valid: "probe 'a"`},
	} {
		w := newTestGateway()
		w.withOptions(authkeys.Options{Command: &tc.only})
		ran = ""
		session := annsSession(tc.line)
		session.Subsystem = tc.subsystem
		err := w.Handler()(context.Background(), &Request{Session: session, Console: w.console()})
		switch {
		case tc.want == "" && (err != nil || ran == ""), tc.want != "" && (err == nil || ran != ""),
			!strings.HasPrefix(errorText(err), tc.want):
			t.Errorf("%q with the line %q: got %v and ran %q, want %q", tc.only, tc.line, err, ran, tc.want)
		}
		e := w.event(t)
		if allowed := e.Decision == audit.Allowed; allowed != (tc.want == "") || allowed && e.Line != tc.only {
			t.Errorf("%q with the line %q: got the event %+v", tc.only, tc.line, e)
		}
	}
}

// TestOnlyCommand_Secrets checks that secrets in the only command are neither printed nor recorded.
func TestOnlyCommand_Secrets(t *testing.T) {
	w := newTestGateway()
	only := "probe --env A=hunter2"
	w.withOptions(authkeys.Options{Command: &only})
	var env string
	register(t, Spec{Name: "probe", Target: TargetNone, Flags: func(f *pflag.FlagSet) {
		f.StringVar(&env, "env", "", "")
		MarkSecret(f, "env")
	}}, func(context.Context, *Request) error { return nil })
	for _, line := range []string{"", "help", only} {
		err := w.run(line)
		if e := w.event(t); strings.Contains(errorText(err)+e.Line+e.Error+strings.Join(e.Command, " "), "hunter2") {
			t.Errorf("%q: got %v and the event %+v", line, err, e)
		}
	}
}

// TestLocked_Refused checks the message for a command that needs a certificate.
func TestLocked_Refused(t *testing.T) {
	w := newTestGateway(acl.Group{
		Name: "team1", Prefixes: []string{"p-"}, Rights: []string{"probe"},
		Require: map[string][]acl.Factor{"probe": {acl.FactorCertificate}},
	})
	register(t, Spec{Name: "probe", Target: TargetScope},
		func(context.Context, *Request) error { t.Error("the command ran"); return nil })
	const want = "probe is granted only to a login with a certificate (see: whoami)"
	if err := w.run("probe"); errorText(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if e := w.event(t); e.Decision != audit.Denied {
		t.Errorf("got the event %+v", e)
	}
	register(t, Spec{Name: "public", Target: TargetNone}, func(_ context.Context, req *Request) error {
		got := req.User.Grants()[0]
		locked := map[string][]string{"to a login with a certificate": {"probe"}}
		if len(got.Rights) > 0 || !reflect.DeepEqual(got.Locked, locked) || !slices.Equal(got.Tiers, []string{"production"}) {
			t.Errorf("got the grants %+v, want %v locked in production", got, locked)
		}
		return nil
	})
	if err := w.run("public"); err != nil {
		t.Error(err)
	}
}
