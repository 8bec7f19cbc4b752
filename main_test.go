package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"nomadctld/internal/nomadtest"
	"nomadctld/router"
)

var update = flag.Bool("update", false, "write what came out into the scripts' expected files")

func TestMain(m *testing.M) {
	// testscript.Main would run this program as nomadctld inside the scripts, and leave no room to stop the agent.
	testscript.Main(stopping{m}, map[string]func(){"nomadctld": main})
}

// stopping ends the real Nomad agent after the tests, if one was started.
type stopping struct{ m *testing.M }

func (s stopping) Run() int {
	defer nomadtest.StopAgent()
	return s.m.Run()
}

// TestScripts runs testdata/script against a simulated cluster and, where there is one, against a real Nomad: the
// OpenSSH client speaks to a gateway that the script command gateway starts.
func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("no ssh client on PATH: apt-get install openssh-client")
	}
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			testscript.Run(t, scriptParams("testdata/script", func() nomadtest.Cluster { return cluster }))
		})
	}
}

// TestSimScripts runs testdata/sim: scripts that need a cluster which fails on demand, or golden output.
func TestSimScripts(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("no ssh client on PATH: apt-get install openssh-client")
	}
	testscript.Run(t, scriptParams("testdata/sim", func() nomadtest.Cluster { return nomadtest.Simulated(t) }))
}

// scriptParams returns how the scripts in dir are run, each with the cluster that choose returns for it.
func scriptParams(dir string, choose func() nomadtest.Cluster) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup:               func(env *testscript.Env) error { return setUp(env, choose()) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"asked":   asked,
			"gateway": startGateway,
			"expand":  expand,
			"eqlines": eqlines,
			"hang":    hang,
			"huge":    huge,
		},
	}
}

// eqlines FILE N fails unless FILE has N lines.
func eqlines(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: eqlines FILE N")
	}
	got := strings.Count(ts.ReadFile(args[0]), "\n")
	if (args[1] == strconv.Itoa(got)) == neg {
		ts.Fatalf("%s has %d lines", args[0], got)
	}
}

// TestEveryCommandHasAScript holds for the commands themselves and for the refusals: a command that reaches
// clusters needs a script in which a user without the right to a job tries it.
func TestEveryCommandHasAScript(t *testing.T) {
	for _, missing := range missingScripts(t, "testdata/script") {
		t.Error(missing)
	}
	if len(missingScripts(t, t.TempDir())) == 0 {
		t.Error("an empty folder of scripts misses nothing: the check cannot fail")
	}
}

func missingScripts(t *testing.T, dir string) (missing []string) {
	t.Helper()
	for _, spec := range router.Specs() {
		file := filepath.Join(dir, spec.Name+".txtar")
		text, err := os.ReadFile(file)
		if err != nil {
			missing = append(missing, "no script "+file)
			continue
		}
		if spec.Target != router.TargetNone && !regexp.MustCompile(`(?m)^# denied:`).Match(text) {
			missing = append(missing, file+` has no case that begins with "# denied:"`)
		}
	}
	return missing
}
