package router

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/authkeys"
	"nomadctld/internal/clusterview"
	"nomadctld/internal/console"
)

// testPublicKey is the key of ann, and testKey is the same in SSH wire format.
var (
	testKey          = string(ssh.Marshal(struct{ Type, Key string }{ssh.KeyAlgoED25519, strings.Repeat("k", 32)}))
	testPublicKey, _ = ssh.ParsePublicKey([]byte(testKey))
)

// probe is a command that runs a function of the test.
type probe struct {
	spec Spec
	run  func(context.Context, *Request) error
}

func (p probe) Spec() Spec {
	p.spec.Group = cmp.Or(p.spec.Group, GroupLook)
	return p.spec
}

func (p probe) Run(ctx context.Context, req *Request) error { return p.run(ctx, req) }

// register registers a command until the end of the test. Without a set, its set is Read, or Public for TargetNone.
func register(t *testing.T, spec Spec, run func(context.Context, *Request) error) {
	t.Helper()
	before := maps.Clone(commandTable)
	if spec.RightSet = cmp.Or(spec.RightSet, Read); spec.Target == TargetNone {
		spec.RightSet = Public
	}
	Register(func() Command { return probe{spec, run} })
	t.Cleanup(func() { commandTable = before })
}

// fakeCluster returns the same jobs to every query.
type fakeCluster struct {
	backends.Cluster
	panics          bool
	filterNamespace bool
	jobs            []backends.Job
	err             error
	refuses         map[string]error // by namespace
	queried         []backends.Selection
	usage           []backends.Allocation
}

func (c *fakeCluster) Jobs(_ context.Context, s backends.Selection) ([]backends.Job, error) {
	if c.panics {
		panic("boom")
	}
	c.queried = append(c.queried, s)
	jobs := slices.Clone(c.jobs)
	if c.filterNamespace && s.Namespace != "" {
		jobs = slices.DeleteFunc(jobs, func(j backends.Job) bool { return j.Namespace != s.Namespace })
	}
	if err := c.refuses[s.Namespace]; err != nil {
		return nil, err
	}
	return jobs, c.err
}

func (c *fakeCluster) Usage(_ context.Context, all []backends.Allocation) map[string]backends.Usage {
	if c.panics {
		panic("boom")
	}
	c.usage = append(c.usage, all...)
	usage := map[string]backends.Usage{}
	for _, a := range all {
		usage[a.ID] = backends.Usage{}
	}
	return usage
}

// testGateway is a gateway with one user, ann of team 1, and two tiers.
type testGateway struct {
	Gateway
	production, quality *fakeCluster
	events              bytes.Buffer
	stdout, stderr      bytes.Buffer
}

func newTestGateway(groups ...acl.Group) *testGateway {
	if groups == nil {
		groups = []acl.Group{{Prefixes: []string{"p-team1-", "q-team1-"}}}
	}
	for i := range groups {
		if groups[i].Rights == nil {
			groups[i].Rights = []string{"probe", "help"}
		}
	}
	w := &testGateway{production: &fakeCluster{}, quality: &fakeCluster{}}
	users := acl.NewDirectory(acl.Rules{Accounts: []acl.Account{{
		User: acl.User{Login: "ann", Name: "Ann", Groups: groups}, Keys: []authkeys.Key{{Public: testPublicKey}},
	}}})
	w.Gateway = Gateway{
		Users: users,
		Tiers: []acl.Tier{
			{Name: "production", Aliases: []string{"prod"}, Prefixes: []string{"p-"}},
			{Name: "quality", Prefixes: []string{"q-"}},
		},
		Clusters: map[string]*clusterview.Shared{
			"production": clusterview.New(w.production),
			"quality":    clusterview.New(w.quality),
		},
		Aliases: map[string]string{"hi": "probe 'a b' -n 3", "probe": "other", "loop": "loop x", "broken": "a 'b"},
		Audit:   audit.NewLog(&w.events),
		Log:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	return w
}

func (w *testGateway) run(line string) error {
	return w.Handler()(context.Background(), &Request{Session: annsSession(line), Console: w.console()})
}

// annsSession returns a session of ann with a command line.
func annsSession(line string) Session {
	return Session{
		Login: "ann", Key: testKey, Fingerprint: "SHA256:x", Connection: "c", ID: "c-1", Remote: "192.0.2.1:5", Line: line,
	}
}

// console returns a console without input or terminal.
func (w *testGateway) console() *console.Console {
	return &console.Console{
		Stdin: strings.NewReader(""), Stdout: &w.stdout, Stderr: &w.stderr, Signals: console.NewSignals(func(error) {}),
	}
}

// event returns the end event of a single command, and clears the events.
func (w *testGateway) event(t *testing.T) audit.Event {
	t.Helper()
	events := w.allEvents(t)
	e := events[len(events)-1]
	ends := slices.DeleteFunc(slices.Clone(events), func(e audit.Event) bool { return e.Kind == audit.Start })
	if e.Kind != audit.End || len(ends) != 1 {
		t.Fatalf("not the events of one command: %+v", events)
	}
	return e
}

// allEvents returns the events since the last call.
func (w *testGateway) allEvents(t *testing.T) (events []audit.Event) {
	t.Helper()
	for line := range bytes.Lines(w.events.Bytes()) {
		var e audit.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("not an event: %v in %s", err, line)
		}
		events = append(events, e)
	}
	w.events.Reset()
	return events
}

func job(tier, namespace, id string) backends.Job {
	root := backends.RootID(id, "")
	return backends.Job{Tier: tier, Namespace: namespace, ID: id, Root: root, Allocations: []backends.Allocation{
		{Tier: tier, Namespace: namespace, JobID: id, Root: root, ID: "alloc of " + id, Status: "running"},
	}}
}

func ids(jobs []backends.Job) (ids []string) {
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

func TestScopedCluster_OwnedJobsOnly(t *testing.T) {
	w := newTestGateway()
	w.production.jobs = []backends.Job{
		job("production", "default", "p-team1-web"), job("production", "default", "p-team10-web"),
		job("production", "default", "p-team2-web"), job("production", "default", "q-team1-lost"),
		job("production", "default", "p-team1-web/periodic-1"), job("production", "default", "x/p-team1-web"),
		{Tier: "production", Namespace: "default", ID: "p-team1-web/periodic-2", Root: "p-team2-web"},
	}
	w.quality.jobs = []backends.Job{job("quality", "default", "q-team1-api"), job("quality", "default", "p-team1-web")}
	register(t, Spec{Name: "probe", Target: TargetScope}, func(ctx context.Context, req *Request) error {
		jobs, err := req.Access.Cluster.Jobs(ctx, backends.Selection{Prefixes: []string{""}})
		want := []string{"p-team1-web", "p-team1-web/periodic-1", "q-team1-api"}
		if got := ids(jobs); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		notOwned := w.production.jobs[1].Allocations
		if got := req.Access.Cluster.Usage(ctx, append(notOwned, jobs[0].Allocations...)); len(got) != 1 ||
			len(w.production.usage) != 1 {
			t.Errorf("usage of %d allocations queried, %d returned, want only the user's one", len(w.production.usage), len(got))
		}
		return err
	})
	if err := w.run("probe"); err != nil {
		t.Fatal(err)
	}
	if got, want := w.production.queried[0].Prefixes, []string{"p-team1-"}; !slices.Equal(got, want) {
		t.Errorf("queried the prefixes %q, want %q", got, want)
	}
}

func TestScopedCluster_OneTierDown(t *testing.T) {
	w := newTestGateway()
	w.production.err = backends.ErrUnreachable
	w.quality.jobs = []backends.Job{job("quality", "default", "q-team1-api")}
	register(t, Spec{Name: "probe", Target: TargetScope}, func(ctx context.Context, req *Request) error {
		jobs, err := req.Access.Cluster.Jobs(ctx, backends.Selection{})
		if got, want := ids(jobs), []string{"q-team1-api"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		return err
	})
	err := w.run("probe")
	var tier *backends.TierError
	if !errors.As(err, &tier) || tier.Tier != "production" || ExitCode(err) != 1 {
		t.Errorf("got %v with code %d, want an error of the tier production with code 1", err, ExitCode(err))
	}
}

func TestScopedCluster_NamespacesQueried(t *testing.T) {
	for _, tc := range []struct {
		granted  []string
		selected string
		want     []string // queried namespaces
	}{
		{nil, "", []string{""}},
		{nil, "secret", []string{"secret"}},
		{[]string{"a", "b"}, "", []string{"a", "b"}},
		{[]string{"a", "b"}, "b", []string{"b"}},
		{[]string{"a", "b"}, "secret", nil},
		{[]string{}, "", nil},
	} {
		w := newTestGateway(acl.Group{Prefixes: []string{"p-"}, Namespaces: tc.granted})
		register(t, Spec{Name: "probe", Target: TargetScope}, func(ctx context.Context, req *Request) error {
			_, err := req.Access.Cluster.Jobs(ctx, backends.Selection{Namespace: tc.selected})
			return err
		})
		if err := w.run("probe"); err != nil {
			t.Error(err)
		}
		var got []string
		for _, s := range w.production.queried {
			got = append(got, s.Namespace)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("granted %q, selected %q: queried %q, want %q", tc.granted, tc.selected, got, tc.want)
		}
		delete(commandTable, "probe")
	}
}

func TestScopedCluster_TierPanics(t *testing.T) {
	w := newTestGateway()
	w.production.panics = true
	w.quality.jobs = []backends.Job{job("quality", "default", "q-team1-api")}
	register(t, Spec{Name: "probe", Target: TargetScope}, func(ctx context.Context, req *Request) error {
		jobs, err := req.Access.Cluster.Jobs(ctx, backends.Selection{})
		if got, want := ids(jobs), []string{"q-team1-api"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		req.Access.Cluster.Usage(ctx, []backends.Allocation{{Tier: "production", Root: "p-team1-web"}})
		return err
	})
	if err := w.run("probe"); err == nil || err.Error() != "tier production: internal error" {
		t.Errorf("got %v", err)
	}
}

func TestScopedCluster_TierNames(t *testing.T) {
	for _, tc := range []struct {
		name    string
		queried int
		err     string
	}{
		{"", 2, ""},
		{"all", 2, ""},
		{"alles", 2, ""},
		{"production", 1, ""},
		{"prod", 1, ""},
		{"productoin", 0, "did you mean production?"},
		{"zzz", 0, "no tier zzz (yours: production, quality)"},
	} {
		w := newTestGateway()
		register(t, Spec{Name: "probe", Target: TargetScope}, func(ctx context.Context, req *Request) error {
			_, err := req.Access.Cluster.Jobs(ctx, backends.Selection{Tier: tc.name})
			return err
		})
		err := w.run("probe")
		if got := len(w.production.queried) + len(w.quality.queried); got != tc.queried {
			t.Errorf("%q: %d tiers queried, want %d", tc.name, got, tc.queried)
		}
		if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err) || ExitCode(err) != 2) {
			t.Errorf("%q: got %v with code %d, want %q with code 2", tc.name, err, ExitCode(err), tc.err)
		}
		delete(commandTable, "probe")
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		groups     []acl.Group
		code       int
		decision   audit.Decision
		err        string
	}{
		{"unknown command", "prob", nil, 2, audit.Invalid, "did you mean probe?"},
		{
			"only allowed commands are suggested", "prob",
			[]acl.Group{{Rights: []string{"ps"}}},
			2, audit.Invalid,
			"no command prob (see: help)",
		},
		{
			"command not granted", "probe",
			[]acl.Group{{Rights: []string{"ps"}}},
			1, audit.Denied,
			"probe is not among your commands",
		},
		{"unknown flag", "probe --nmber 3", nil, 2, audit.Invalid, "did you mean --number?"},
		{"bad flag value", "probe -n x", nil, 2, audit.Invalid, "invalid argument"},
		{"too many arguments", "probe a b", nil, 2, audit.Invalid, `unexpected argument "b"`},
		{"open quote", "probe 'a", nil, 2, audit.Invalid, "inside quotes"},
		{"alias of an alias", "loop", nil, 2, audit.Invalid, "no command loop"},
		{"broken alias", "broken", nil, 2, audit.Invalid, "alias broken"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newTestGateway(tc.groups...)
			var n int
			register(t, Spec{
				Name: "probe", Args: "[A]", Target: TargetScope,
				Flags: func(f *pflag.FlagSet) { f.IntVarP(&n, "number", "n", 0, "") },
			},
				func(context.Context, *Request) error { t.Error("the command ran"); return nil })
			err := w.run(tc.line)
			if ExitCode(err) != tc.code || err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %v with code %d, want %q with code %d", err, ExitCode(err), tc.err, tc.code)
			}
			if e := w.event(t); e.Decision != tc.decision || e.ExitCode != tc.code || e.Line != tc.line {
				t.Errorf("got the event %+v, want %s with code %d", e, tc.decision, tc.code)
			}
		})
	}
}

func TestAuthenticate_RemovedUser(t *testing.T) {
	w := newTestGateway()
	w.Users = acl.NewDirectory(acl.Rules{})
	register(t, Spec{Name: "probe", Target: TargetNone},
		func(context.Context, *Request) error { t.Error("the command ran"); return nil })
	if err := w.run("probe"); err == nil || !strings.Contains(err.Error(), "no longer accepted") {
		t.Errorf("got %v", err)
	}
	if e := w.event(t); e.Decision != audit.Denied {
		t.Errorf("got the decision %q, want denied", e.Decision)
	}
}

func TestExpandAlias(t *testing.T) {
	w := newTestGateway()
	var n int
	register(t, Spec{
		Name: "probe", Args: "[A...]", Target: TargetNone,
		Flags: func(f *pflag.FlagSet) { f.IntVarP(&n, "number", "n", 0, "") },
	},
		func(_ context.Context, req *Request) error {
			if want := []string{"a b", "c d"}; !slices.Equal(req.Args, want) || n != 3 {
				t.Errorf("got %q and %d, want %q and 3", req.Args, n, want)
			}
			return nil
		})
	if err := w.run("hi 'c d'"); err != nil {
		t.Fatal(err)
	}
	if e := w.event(t); e.Line != "hi 'c d'" || !slices.Equal(e.Command, []string{"probe", "a b", "-n", "3", "c d"}) {
		t.Errorf("got line %q and command %q", e.Line, e.Command)
	}
}

func TestExpandAlias_CommandWins(t *testing.T) {
	w := newTestGateway()
	ran := false
	register(t, Spec{Name: "probe", Target: TargetNone}, func(context.Context, *Request) error { ran = true; return nil })
	if err := w.run("probe"); err != nil || !ran {
		t.Errorf("ran %v with %v, want the command, not the alias", ran, err)
	}
}

func TestRecoverPanics(t *testing.T) {
	w := newTestGateway()
	register(t, Spec{Name: "probe", Target: TargetNone}, func(context.Context, *Request) error { panic("boom") })
	err := w.run("probe")
	if err == nil || !strings.Contains(err.Error(), "c-1") || strings.Contains(err.Error(), "boom") {
		t.Errorf("got %v, want an internal error that names only the session", err)
	}
	if e := w.event(t); e.ExitCode != 1 || e.Error != "panic" {
		t.Errorf("got the event %+v", e)
	}
}

func TestAudit_Events(t *testing.T) {
	w := newTestGateway()
	register(t, Spec{Name: "probe", Target: TargetScope, Args: "[A]"}, func(ctx context.Context, req *Request) error {
		_, err := req.Access.Cluster.Jobs(ctx, backends.Selection{Tier: "prod", Namespace: "other"})
		return err
	})
	if err := w.run("probe 'x\x1b[2J\u202e'"); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(w.events.String(), "\x1b\u202e") || strings.Count(w.events.String(), "\n") != 2 {
		t.Errorf("not two safe lines: %q", w.events.String())
	}
	e := w.event(t)
	if time.Since(e.Time) > time.Minute || e.Duration < 0 {
		t.Errorf("got time %v and duration %v", e.Time, e.Duration)
	}
	e.Time, e.Duration = time.Time{}, 0
	want := audit.Event{
		Kind: audit.End, Connection: "c", Session: "c-1", User: "ann", Key: "SHA256:x", Remote: "192.0.2.1:5",
		Line: "probe 'x\x1b[2J\u202e'", Command: []string{"probe", "x\x1b[2J\u202e"},
		Tier: "production", Namespace: "other", Decision: audit.Allowed,
	}
	if got, want := asJSON(e), asJSON(want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func asJSON(v any) string { b, _ := json.Marshal(v); return string(b) }

func TestAudit_RequiredUnwritable(t *testing.T) {
	w := newTestGateway()
	log, err := audit.Open(t.TempDir()+"/audit.jsonl", nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Audit, w.AuditRequired = log, true
	ran := 0
	register(t, Spec{Name: "probe", Target: TargetNone}, func(context.Context, *Request) error { ran++; return nil })
	if err := w.run("probe"); err != nil || ran != 1 {
		t.Fatalf("with a log: ran %d times, %v", ran, err)
	}
	w.Audit = unwritable(t)
	if err := w.run("probe"); err == nil || ran != 1 {
		t.Errorf("without a log: ran %d times, %v, want a refusal", ran, err)
	}
	w.AuditRequired = false
	if err := w.run("probe"); err != nil || ran != 2 {
		t.Errorf("not required: ran %d times, %v", ran, err)
	}
}

// unwritable returns a log whose directory has been deleted.
func unwritable(t *testing.T) *audit.Log {
	t.Helper()
	dir := t.TempDir() + "/deleted"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(dir+"/audit.jsonl", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	return log
}

func TestEmptyLine_RunsHelp(t *testing.T) {
	w := newTestGateway()
	ran := false
	register(t, Spec{Name: "help", Target: TargetNone}, func(context.Context, *Request) error { ran = true; return nil })
	if err := w.run(""); err != nil || !ran {
		t.Errorf("ran %v with %v", ran, err)
	}
}

func TestHelpFlag(t *testing.T) {
	w := newTestGateway()
	spec := Spec{
		Name: "probe", Args: "[A]", Short: "Probe it", Target: TargetScope,
		Examples: []Example{{"probe x", "it"}},
	}
	register(t, spec, func(context.Context, *Request) error { t.Error("the command ran"); return nil })
	const want = "Usage: probe [flags] [A]\n\nProbe it.\n\nExamples:\n  probe x  it\n\nFlags:\n"
	if err := w.run("probe --help"); err != nil || !strings.HasPrefix(w.stdout.String(), want) {
		t.Errorf("got %v and %q", err, w.stdout.String())
	}
	if e := w.event(t); e.Decision != audit.Allowed || e.ExitCode != 0 {
		t.Errorf("got the event %+v, want allowed", e)
	}
	denied := newTestGateway(acl.Group{Rights: []string{}})
	for _, line := range []string{"probe --help", "probe --nosuch"} {
		if err := denied.run(line); err == nil || denied.stdout.Len() > 0 || denied.event(t).Decision != audit.Denied {
			t.Errorf("%s without the right: got %v and %q", line, err, denied.stdout.String())
		}
	}
}

func TestRegister_Panics(t *testing.T) {
	before := maps.Clone(commandTable)
	t.Cleanup(func() { commandTable = before })
	create := func(spec Spec) func() Command { return func() Command { return probe{spec, nil} } }
	Register(create(Spec{Name: "twice", Target: TargetNone, RightSet: Public}))
	for name, spec := range map[string]Spec{
		"router.probe": {Target: TargetNone, RightSet: Public},
		"twice":        {Name: "twice", Target: TargetNone, RightSet: Public},
		"groupless":    {Name: "groupless", Target: TargetNone, RightSet: Public, Group: "Others"},
		"argless":      {Name: "argless", Args: "[JOB]", Target: TargetJob, RightSet: Read},
		"targetless":   {Name: "targetless", RightSet: Read},
		"setless":      {Name: "setless", Target: TargetScope},
		"mistaken":     {Name: "mistaken", Target: TargetScope, RightSet: "@raed"},
		"open":         {Name: "open", Target: TargetScope, RightSet: Public},
		"purge":        {Name: "flagged", Target: TargetScope, RightSet: Read, FlagRights: map[string]RightSet{"purge": ""}},
	} {
		func() {
			defer func() {
				if p, _ := recover().(string); !strings.Contains(p, name) {
					t.Errorf("panicked with %q, want a message that names %s", p, name)
				}
			}()
			Register(create(spec))
		}()
	}
}

func TestHandleInterrupts(t *testing.T) {
	w := newTestGateway()
	register(t, Spec{Name: "probe", Target: TargetNone},
		func(ctx context.Context, _ *Request) error { <-ctx.Done(); return ctx.Err() })
	err := w.Handler()(context.Background(), &Request{
		Session: Session{Login: "ann", Key: testKey, Line: "probe"},
		Console: &console.Console{
			Terminal: &console.Terminal{}, Stdin: strings.NewReader("abc\x03"), Stdout: io.Discard, Stderr: io.Discard,
			Signals: console.NewSignals(func(error) {}),
		},
	})
	if !errors.Is(err, console.ErrInterrupted) || ExitCode(err) != 130 {
		t.Errorf("got %v with code %d, want interrupted with 130", err, ExitCode(err))
	}
}
