package router

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/clusterview"
	"nomadctld/internal/ops"
)

// secretCluster returns a definition with a secret.
type secretCluster struct {
	*fakeCluster
	definition string
}

func (c secretCluster) Definition(context.Context, backends.Job, *uint64) (json.RawMessage, error) {
	return json.RawMessage(c.definition), nil
}

func (c secretCluster) Versions(context.Context, backends.Job) ([]backends.Version, error) {
	return c.versions(), nil
}

func (c secretCluster) versions() []backends.Version {
	return []backends.Version{{Number: 1, Definition: json.RawMessage(c.definition), Changes: []backends.Change{
		{Path: "web > task web > Env[PASSWORD]", Old: "canary", New: "canary2"},
		{Path: "web > task web > Env[MODE]", Old: "a", New: "b"},
	}}, {Number: 0, Definition: json.RawMessage(c.definition)}}
}

const secretDefinition = `{"ID":"p-team1-web","Env":{"PASSWORD":"canary","MODE":"a"}}`

// readSecret runs a command of a set, by a user with rights, which reads everything that can contain secrets. It
// returns what the command got, and what was printed.
func readSecret(t *testing.T, set RightSet, rights []string, definition string) (got, printed string, err error) {
	t.Helper()
	w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: append(rights, "act")},
		acl.Group{Prefixes: []string{"p-team2-"}, Rights: []string{SecretsRight}})
	w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
	cluster := secretCluster{w.production, definition}
	w.Gateway.Clusters["production"] = clusterview.New(cluster)
	w.Ops, _ = ops.Open("")
	before := commandTable
	defer func() { commandTable = before }()
	commandTable = map[string]func() Command{}
	var b strings.Builder
	Register(func() Command {
		return probe{
			Spec{Name: "act", Args: "JOB", Target: TargetJob, RightSet: set},
			func(ctx context.Context, req *Request) error {
				text, err := req.Access.Cluster.Definition(ctx, req.Target.Job, nil)
				if err != nil {
					return err
				}
				versions, err := req.Access.Cluster.Versions(ctx, req.Target.Job)
				b.Write(text)
				for _, v := range versions {
					b.Write(v.Definition)
					for _, c := range v.Changes {
						b.WriteString(c.Old + ">" + c.New)
					}
				}
				return err
			},
		}
	})
	err = w.run("act p-team1-web")
	return b.String(), w.stderr.String(), err
}

func TestSecrets_HiddenFromReaders(t *testing.T) {
	const masked = `{"ID":"p-team1-web","Env":{"PASSWORD":"***","MODE":"a"}}`
	hidden := masked + masked + "***>***a>b" + masked
	shown := secretDefinition + secretDefinition + "canary>canary2a>b" + secretDefinition
	for _, test := range []struct {
		name   string
		set    RightSet
		rights []string
		want   string
	}{
		{"reader", Read, nil, hidden},
		{"reader of @enter", Enter, nil, hidden},
		{"reader with the right", Read, []string{SecretsRight}, shown},
		{"command that may register it", Operate, nil, shown},
		{"admin command", Admin, nil, shown},
	} {
		got, printed, err := readSecret(t, test.set, test.rights, secretDefinition)
		if err != nil || got != test.want {
			t.Errorf("%s: got %s, %v, want %s", test.name, got, err, test.want)
		}
		if noticed := printed == secretsNotice+"\n"; noticed != (test.want == hidden) {
			t.Errorf("%s: printed %q", test.name, printed)
		}
	}
}

// TestSecrets_NoNotice checks that nothing is printed if nothing is hidden.
func TestSecrets_NoNotice(t *testing.T) {
	w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"probe"}})
	register(t, Spec{Name: "probe", Target: TargetScope}, func(ctx context.Context, req *Request) error {
		_, err := req.Access.Cluster.Jobs(ctx, req.Selection)
		return err
	})
	if err := w.run("probe"); err != nil || w.stderr.Len() > 0 {
		t.Errorf("got %v, %q", err, w.stderr.String())
	}
}

// TestSecrets_UnreadableDefinition checks that a definition that cannot be masked is not shown at all.
func TestSecrets_UnreadableDefinition(t *testing.T) {
	got, _, err := readSecret(t, Read, nil, `{"PASSWORD":"canary"`)
	if err == nil || got != "" || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %q, %v, want an error", got, err)
	}
}

// checkedCluster has an allocation with a service check.
type checkedCluster struct {
	*fakeCluster
	definitions []backends.CheckDefinition
	results     map[string][]backends.Check
}

func (c checkedCluster) Allocation(context.Context, backends.Allocation) (backends.AllocationDetail, error) {
	return backends.AllocationDetail{Checks: c.definitions}, nil
}

func (c checkedCluster) Checks(context.Context, []backends.Allocation) map[string][]backends.Check {
	return c.results
}

// TestSecrets_Checks checks that the paths of service checks and the URLs in their output are hidden, without a change
// of what other users share, and that only a command that prints them causes a notice.
func TestSecrets_Checks(t *testing.T) {
	const path, output = "/ready?token=canary", `Get "http://c1/ready?token=canary": EOF`
	for _, test := range []struct {
		set          RightSet
		right        string
		prints       bool
		path, output string
		hidden       bool
	}{
		{Read, "", true, "***", `Get "http://c1/***": EOF`, true},
		{Read, "", false, "***", `Get "http://c1/***": EOF`, true},
		{Read, SecretsRight, false, path, output, false},
		{Operate, "", false, path, output, false},
	} {
		t.Run(fmt.Sprintf("%v %q prints=%v", test.set, test.right, test.prints), func(t *testing.T) {
			w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"probe", test.right}})
			w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
			cluster := checkedCluster{
				w.production,
				[]backends.CheckDefinition{{Path: path}, {Path: "/"}},
				map[string][]backends.Check{"a": {{Output: output}, {Output: "nomad: tcp ok"}}},
			}
			w.Gateway.Clusters["production"] = clusterview.New(cluster)
			w.Ops, _ = ops.Open("")
			var definitions []backends.CheckDefinition
			var results []backends.Check
			spec := Spec{Name: "probe", Args: "JOB", Target: TargetJob, RightSet: test.set}
			register(t, spec, func(ctx context.Context, req *Request) error {
				a := backends.Allocation{ID: "a", Tier: "production", Namespace: "default", Root: "p-team1-web"}
				detail, err := req.Access.Cluster.Allocation(ctx, a)
				definitions, results = detail.Checks, req.Access.Cluster.Checks(ctx, []backends.Allocation{a})["a"]
				if test.prints {
					req.Access.ReportHidden()
				}
				return err
			})
			if err := w.run("probe p-team1-web"); err != nil || len(definitions) != 2 || len(results) != 2 {
				t.Fatalf("got %v, %+v, %+v", err, definitions, results)
			}
			if d := definitions[0]; d.Path != test.path || d.Hidden != test.hidden || definitions[1].Hidden {
				t.Errorf("%+v: got %+v", test, definitions)
			}
			if c := results[0]; c.Output != test.output || c.Hidden != test.hidden || results[1].Hidden {
				t.Errorf("%+v: got %+v", test, results)
			}
			if noticed := w.stderr.String() == secretsNotice+"\n"; noticed != test.prints {
				t.Errorf("%+v: printed %q", test, w.stderr.String())
			}
			if cluster.definitions[0].Path != path || cluster.results["a"][0].Output != output {
				t.Errorf("shared data was changed: %+v", cluster)
			}
		})
	}
}

// detailCluster has a job in Job, too.
type detailCluster struct{ *fakeCluster }

func (c detailCluster) Job(context.Context, backends.Job) (backends.JobDetail, error) {
	return backends.JobDetail{Job: c.jobs[0]}, nil
}

// TestSecrets_Events checks that the URLs in task events are hidden, without a change of what other users share. The
// commands that may register definitions print events, too.
func TestSecrets_Events(t *testing.T) {
	const message = `failed to download artifact "http://a:canary@c1/x?token=canary": EOF`
	const masked = `failed to download artifact "http://c1/***": EOF`
	const elsewhere = `see https://c1/?token=canary`
	for _, test := range []struct {
		set    RightSet
		right  string
		want   []string
		hidden bool
	}{
		{Read, "", []string{"token=x", masked, "see https://c1/***", "see https://c1/"}, true},
		{Operate, "", []string{"token=x", masked, "see https://c1/***", "see https://c1/"}, true},
		{Read, SecretsRight, []string{"token=x", message, elsewhere, "see https://c1/"}, false},
	} {
		t.Run(fmt.Sprintf("%v %q", test.set, test.right), func(t *testing.T) {
			w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"probe", test.right}})
			events := []backends.Event{
				{Type: "Terminated", Message: "token=x"},
				{Type: "Failed Artifact Download", Message: message, Details: map[string]string{"download_error": message}},
				{Type: "Killing", Message: elsewhere},
				{Type: "Killing", Message: "see https://c1/"},
			}
			j := job("production", "default", "p-team1-web")
			j.Allocations = []backends.Allocation{
				{ID: "a", Tasks: []backends.Task{{Name: "app"}}},
				{ID: "b", Tasks: []backends.Task{{Name: "app", Events: events}}},
			}
			w.production.jobs = []backends.Job{j}
			w.Gateway.Clusters["production"] = clusterview.New(detailCluster{w.production})
			w.Ops, _ = ops.Open("")
			var got []backends.Job
			spec := Spec{Name: "probe", Args: "JOB", Target: TargetJob, RightSet: test.set}
			register(t, spec, func(ctx context.Context, req *Request) error {
				detail, err := req.Access.Cluster.Job(ctx, req.Target.Job)
				jobs, listErr := req.Access.Cluster.Jobs(ctx, backends.Selection{})
				got = append(jobs, detail.Job, req.Target.Job)
				return cmp.Or(err, listErr)
			})
			if err := w.run("probe p-team1-web"); err != nil || len(got) != 3 || w.stderr.Len() > 0 {
				t.Fatalf("got %v, %+v, %q", err, got, w.stderr.String())
			}
			for i, j := range got {
				for k, e := range j.Allocations[1].Tasks[0].Events {
					wantHidden := test.hidden && (k == 1 || k == 2)
					if e.Message != test.want[k] || e.Hidden != wantHidden || k == 1 && e.Details["download_error"] != test.want[k] {
						t.Errorf("job %d: got %+v, want %q, hidden %v", i, e, test.want[k], wantHidden)
					}
				}
			}
			shared := w.production.jobs[0].Allocations[1].Tasks[0].Events[1]
			if shared.Message != message || shared.Details["download_error"] != message {
				t.Errorf("a shared event was changed: %+v", shared)
			}
		})
	}
}

// TestSecrets_SharedVersions checks that hiding secrets does not change versions that other users share.
func TestSecrets_SharedVersions(t *testing.T) {
	cluster := secretCluster{&fakeCluster{}, secretDefinition}
	versions := cluster.versions()
	if _, err := (secretFilter{}).versions(backends.JobRef{ID: "p-team1-web"}, versions); err != nil {
		t.Fatal(err)
	}
	if string(versions[0].Definition) != secretDefinition || versions[0].Changes[0].Old != "canary" {
		t.Errorf("the versions were changed: %+v", versions)
	}
}

// TestSecrets_OperationGetsOriginals checks that an operation, such as restart --full, gets definitions that it can
// register again.
func TestSecrets_OperationGetsOriginals(t *testing.T) {
	w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"act"}})
	w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
	w.Gateway.Clusters["production"] = clusterview.New(secretCluster{w.production, secretDefinition})
	w.Ops, _ = ops.Open("")
	before := commandTable
	defer func() { commandTable = before }()
	commandTable = map[string]func() Command{}
	got := make(chan string, 1)
	Register(func() Command {
		return probe{
			Spec{Name: "act", Args: "JOB", Target: TargetJob, RightSet: Operate},
			func(ctx context.Context, req *Request) error {
				_, err := req.Access.Operations.Start(ctx, func(ctx context.Context, work ops.Operation) error {
					text, err := work.Cluster.Definition(ctx, req.Target.Job, nil)
					got <- string(text)
					return err
				})
				return err
			},
		}
	})
	if err := w.run("act p-team1-web"); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != secretDefinition {
		t.Errorf("got %s, want the original", text)
	}
}

func TestSecrets_Container(t *testing.T) {
	const text = `{"Config":{"Env":["PASSWORD=canary","MODE=a"]}}`
	for _, test := range []struct{ right, want string }{
		{"", `{"Config":{"Env":["PASSWORD=***","MODE=a"]}}`}, {SecretsRight, text},
	} {
		r := newThreeRuntimes()
		r.docker.inspected = text
		w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"probe", test.right}})
		runtime, _ := runtimeOfTask(w, &r.selector, "web")
		user := acl.User{Groups: []acl.Group{{Prefixes: []string{"p-team1-"}, Rights: []string{test.right}}}}
		bound := runtime.(*boundRuntime)
		bound.scope.secrets = secretFilter{owned: User{user, w.Tiers}.scope(SecretsRight)}
		raw, err := bound.Inspect(t.Context())
		if err != nil || string(raw) != test.want {
			t.Errorf("with the right %q: got %s, %v, want %s", test.right, raw, err, test.want)
		}
		r.docker.inspectErr = errors.New("container not found")
		if raw, err := bound.Inspect(t.Context()); err == nil || raw != nil {
			t.Errorf("got %s, %v, want the error", raw, err)
		}
	}
}

// TestSecrets_ChangedArguments checks that a change of an argument hides what Definition hides, and nothing else.
func TestSecrets_ChangedArguments(t *testing.T) {
	definition := func(command, password string) json.RawMessage {
		return json.RawMessage(`{"TaskGroups":[{"Name":"web","Tasks":[{"Name":"web","Config":{"args":["-c","` + command +
			`","--password","` + password + `"]}}]}]}`)
	}
	const args = "web > task web > Config > args"
	versions := []backends.Version{
		{Number: 1, Definition: definition("sleep 5; exec a", "canary2"), Changes: []backends.Change{
			{Path: args + "[1]", Old: "sleep 5; exec b", New: "sleep 5; exec a"},
			{Path: args + "[3]", Old: "canary1", New: "canary2"},
		}},
		{Number: 0, Definition: definition("sleep 5; exec b", "canary1")},
	}
	masked, err := secretFilter{}.versions(backends.JobRef{}, versions)
	if err != nil {
		t.Fatal(err)
	}
	want := []backends.Change{versions[0].Changes[0], {Path: args + "[3]", Old: "***", New: "***"}}
	if got := masked[0].Changes; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
