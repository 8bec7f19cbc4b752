package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nomadctld/acl"
	"nomadctld/backends"
)

// newNamespacesGateway returns a gateway with jobs of the user in three namespaces. The cluster refuses the token in
// some of them.
func newNamespacesGateway(refuses map[string]error) *testGateway {
	w := newTestGateway(acl.Group{Prefixes: []string{"p-"}, Namespaces: []string{"apps", "default", "secret"}})
	running := map[string]string{"web": "running"}
	for i, namespace := range []string{"apps", "default", "secret"} {
		w.production.jobs = append(w.production.jobs, ownedJob("production", namespace, "p-team1-"+namespace,
			fmt.Sprintf("%d%d%d%d1111-0000", i, i, i, i), running))
	}
	w.production.filterNamespace, w.production.refuses = true, refuses
	return w
}

func missingRight(namespace string) error {
	return &backends.MissingCapabilityError{Capability: "read-job", Namespace: namespace}
}

func TestNamespaces_OneUnreadable(t *testing.T) {
	unknownToken := fmt.Errorf("%w: it is unknown or has expired", backends.ErrForbidden)
	down := fmt.Errorf("%w: %w", backends.ErrUnreachable, errors.New("connection refused"))
	for _, tc := range []struct {
		name    string
		refuses map[string]error
		listed  []string
		lines   []string // prefixes of the error's lines
		queried int
	}{
		{"none", nil, []string{"apps", "default", "secret"}, nil, 3},
		{
			"the first",
			map[string]error{"apps": missingRight("apps")},
			[]string{"default", "secret"},
			[]string{"tier production: namespace apps is not shown: the gateway's token lacks the capability"},
			3,
		},
		{
			"the last",
			map[string]error{"secret": missingRight("secret")},
			[]string{"apps", "default"},
			[]string{"tier production: namespace secret is not shown: "},
			3,
		},
		{
			"two",
			map[string]error{"apps": missingRight("apps"), "secret": missingRight("secret")},
			[]string{"default"},
			[]string{"tier production: namespace apps is not shown: ", "tier production: namespace secret is not shown: "},
			3,
		},
		{
			"the token is refused",
			map[string]error{"apps": unknownToken, "default": unknownToken, "secret": unknownToken},
			nil,
			[]string{"tier production: Nomad rejected the gateway's token: it is unknown"},
			3,
		},
		{
			"the cluster is down",
			map[string]error{"apps": down, "default": down, "secret": down},
			nil,
			[]string{"tier production: no response: connection refused"},
			1,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newNamespacesGateway(tc.refuses)
			var listed []string
			register(t, Spec{Name: "probe", Target: TargetScope}, func(ctx context.Context, req *Request) error {
				jobs, err := req.Access.Cluster.Jobs(ctx, backends.Selection{})
				for _, job := range jobs {
					listed = append(listed, job.Namespace)
				}
				return err
			})
			err := w.run("probe")
			if !slices.Equal(listed, tc.listed) || len(w.production.queried) != tc.queried {
				t.Errorf("listed %q after %d queries, want %q after %d", listed, len(w.production.queried), tc.listed, tc.queried)
			}
			lines := ErrorLines(err)
			if len(lines) != len(tc.lines) || (err != nil) != (ExitCode(err) == 1) {
				t.Fatalf("got %q, code %d, want %q", lines, ExitCode(err), tc.lines)
			}
			for i, line := range lines {
				if !strings.HasPrefix(line, tc.lines[i]) || strings.Contains(line, "\n") {
					t.Errorf("got %q, want %q", line, tc.lines[i])
				}
			}
		})
	}
}

func TestNamespaces_UnreadableSelector(t *testing.T) {
	for _, selector := range []string{
		"p-team1-default", "p-team1-default/g", "1111", "11111111-0000",
		backends.ExecID("web", "11111111-0000"),
	} {
		w := newNamespacesGateway(map[string]error{"secret": missingRight("secret")})
		register(t, Spec{Name: "probe", Args: "SELECTOR", Target: TargetTask}, func(_ context.Context, req *Request) error {
			if req.Target.Job.Namespace != "default" {
				t.Errorf("%s selects %s in %s", selector, req.Target.Job.ID, req.Target.Job.Namespace)
			}
			return nil
		})
		if err := w.run("probe " + selector); err != nil {
			t.Errorf("%s: %v", selector, err)
		}
		delete(commandTable, "probe")
	}
}

// TestNamespaces_UnreadableJobNotFound expects the hint that a missing job may be in an unreadable namespace.
func TestNamespaces_UnreadableJobNotFound(t *testing.T) {
	w := newNamespacesGateway(map[string]error{"secret": missingRight("secret")})
	register(t, Spec{Name: "probe", Args: "JOB", Target: TargetJob}, func(context.Context, *Request) error { return nil })
	lines := ErrorLines(w.run("probe p-team1-secret"))
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "no job p-team1-secret") ||
		!strings.HasPrefix(lines[1], "tier production: namespace secret is not shown: ") {
		t.Errorf("got %q", lines)
	}
	lines = ErrorLines(w.run("probe p-team1-secret --namespace secret"))
	if len(lines) != 1 || !strings.Contains(lines[0], `lacks the capability "read-job" in namespace secret`) {
		t.Errorf("with --namespace: got %q", lines)
	}
}

// TestNamespaces_NotOwnedNotNamed expects that no error names a namespace in which the user owns no job.
func TestNamespaces_NotOwnedNotNamed(t *testing.T) {
	w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}})
	running := map[string]string{"web": "running"}
	w.production.jobs = []backends.Job{
		ownedJob("production", "half", "p-team1-web", "aaaa1111-0000", running),
		ownedJob("production", "notowned", "p-team2-web", "bbbb1111-0000", running),
	}
	w.production.err = errors.Join(&backends.NamespaceError{Namespace: "half", Err: missingRight("half")},
		&backends.NamespaceError{Namespace: "notowned", Err: missingRight("notowned")})
	register(t, Spec{Name: "probe", Target: TargetScope}, func(ctx context.Context, req *Request) error {
		jobs, err := req.Access.Cluster.Jobs(ctx, backends.Selection{})
		if len(jobs) != 1 {
			t.Errorf("got %d jobs, want 1", len(jobs))
		}
		return err
	})
	if lines := ErrorLines(w.run("probe")); len(lines) != 1 || !strings.Contains(lines[0], "namespace half is not shown") {
		t.Errorf("got %q", lines)
	}
}

func TestSplitErrors_WrappedJoin(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	wrapped := fmt.Errorf("%w: %w", a, b)
	if got := splitErrors(errors.Join(wrapped, errors.Join(a, b))); len(got) != 3 || got[0] != wrapped {
		t.Errorf("got %q", got)
	}
}
