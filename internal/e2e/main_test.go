package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"nomadctld/internal/cli"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/nomadtest"
	"nomadctld/router"
)

var update = flag.Bool("update", false, "update the expected files in the scripts")

func TestMain(m *testing.M) {
	// In the scripts, this test binary runs as nomadctld. testscript.Main exits the process, so testRunner stops the
	// agent.
	testscript.Main(testRunner{m}, scriptPrograms)
}

// scriptPrograms are the programs that scripts can run. testdata/script/README documents them.
var scriptPrograms = map[string]func(){
	"nomadctld": func() { os.Exit(cli.Main(os.Args[1:])) },
	"viasocket": viaSocket,
}

// testRunner stops the real Nomad agent after the tests, if one was started.
type testRunner struct{ m *testing.M }

func (s testRunner) Run() int {
	flag.Parse()
	if testing.Short() {
		fmt.Println("skipped with -short: make e2e runs these tests")
		return 0
	}
	// Tasks and clients inherit ignored signals, such as those that nohup or a background job of a shell ignores. If this
	// process handles them instead, the children have the default action.
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	defer nomadtest.StopAgent()
	return s.m.Run()
}

// TestScripts runs testdata/script against simulated clusters and, if there is a nomad binary, against a real Nomad.
// The OpenSSH client connects to a gateway that the script command gateway starts.
func TestScripts(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	t.Run("sim", func(t *testing.T) {
		t.Parallel()
		testscript.Run(t, scriptParams("../../testdata/script", "sim", simulatedFor))
	})
	if nomadtest.Binary() == "" {
		t.Log(nomadtest.NoBinary)
		return
	}
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		cluster := nomadtest.Real(t)
		testscript.Run(t, scriptParams("../../testdata/script", "real",
			func(*testscript.Env) (nomadtest.Cluster, error) { return cluster, nil }))
	})
}

// TestSimScripts runs testdata/sim: scripts that inject failures into the cluster, or compare complete output.
func TestSimScripts(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	testscript.Run(t, scriptParams("../../testdata/sim", "sim", simulatedFor))
}

// simulatedFor returns a simulated cluster for one script.
func simulatedFor(env *testscript.Env) (nomadtest.Cluster, error) {
	cluster, err := nomadtest.StartSimulated()
	if err == nil {
		env.Defer(cluster.Sim.Close)
	}
	return cluster, err
}

// scriptParams returns the parameters for the scripts in dir. choose returns the cluster of a script. kind is the kind
// of that cluster: sim or real.
func scriptParams(dir, kind string, choose func(*testscript.Env) (nomadtest.Cluster, error)) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			cluster, err := choose(env)
			if err != nil {
				return err
			}
			return setUp(env, cluster)
		},
		Cmds: scriptCommands,
		Condition: func(condition string) (bool, error) {
			if !slices.Contains(scriptConditions, condition) {
				return false, fmt.Errorf("unknown condition: %s", condition)
			}
			return condition == kind || condition == "race" && testenv.Race, nil
		},
	}
}

// scriptConditions are the conditions of scripts: the kinds of clusters, and the race detector. testdata/script/README
// documents them.
var scriptConditions = []string{"sim", "real", "race"}

// scriptCommands are the commands of scripts. testdata/script/README documents them.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"alloc":        allocation,
	"api":          request,
	"prompt":       answerPrompt,
	"requests":     checkRequests,
	"requestsin":   checkRequestRate,
	"client":       controlClient,
	"closepipe":    closePipe,
	"crash":        crash,
	"eqlines":      eqlines,
	"expand":       expand,
	"fakecluster":  startFakeCluster,
	"failure":      injectFailure,
	"gateway":      startGateway,
	"gc":           garbageCollect,
	"keepsrunning": keepsRunning,
	"hang":         hangNode,
	"hugejobs":     runHugeJobs,
	"job":          registerJob,
	"samejob":      sameJob,
	"serve":        startProcess,
	"token":        makeToken,
	"until":        until,
	"wrote":        wrote,
}

// eqlines implements the script command eqlines.
func eqlines(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: eqlines FILE N")
	}
	got := strings.Count(ts.ReadFile(args[0]), "\n")
	if (args[1] == strconv.Itoa(got)) == neg {
		ts.Fatalf("%s has %d lines", args[0], got)
	}
}

// TestCommands_HaveScripts checks that every command has a script. For a command that contacts clusters, the script
// must have a case in which a user without the right to a job tries it.
func TestCommands_HaveScripts(t *testing.T) {
	for _, missing := range missingScripts(t, "../../testdata/script") {
		t.Error(missing)
	}
	if len(missingScripts(t, t.TempDir())) == 0 {
		t.Error("no script is missing in an empty directory, so the test cannot fail")
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
			missing = append(missing, file+` has no case that starts with "# denied:"`)
		}
	}
	return missing
}
