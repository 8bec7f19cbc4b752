package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"

	"nomadctld/config"
	"nomadctld/internal/gateway"
	"nomadctld/internal/nomadsim"
	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/sshfiles"
	"nomadctld/internal/testenv/nomadtest"
)

// scriptUsers each have a key, $KEYS/NAME.
var scriptUsers = []string{"wim", "ann", "bob", "mallory", "ada", "eve"}

// standardConfig is the configuration of the script command gateway without a file, and the value of $STANDARD in a
// file. wim owns all jobs and ann those of team 1. bob may only use public commands. mallory, ada and eve are not
// users.
const standardConfig = `
[general]
hostkey = "$KEYS/hostkey"
bind = "127.0.0.1:0"

[alias]
psp = "ps --tier production"
ps = "help"
shell = "exec p-team3-shell"

[audit]
file = "$WORK/audit.jsonl"

[nomad.production]
url = "$NOMAD"
prefix = ["p-"]
token = "$KEYS/token"
alias = ["prod"]

[nomad.quality]
url = "$NOMAD"
prefix = ["q-"]
token = "$KEYS/token"

[prefix.all]
prefix = ["p-", "q-", "raw"]

[prefix.team1]
prefix = ["p-team1-", "q-team1-"]

[prefix.none]
prefix = ["p-team1-"]
commands = []

[users.wim]
name = "Wim"
prefix = ["all"]
key = "$KEY_wim"

[users.ann]
name = "Ann"
prefix = ["team1"]
key = "$KEY_ann"

[users.bob]
name = "Bob"
prefix = ["none"]
key = "$KEY_bob"
`

// setUp creates keys and a token file for a script, and sets $KEYS, $KEY_NAME, $NOMAD, $SSH (for ssh -F) and
// $NOMAD_BINARY.
func setUp(env *testscript.Env, cluster nomadtest.Cluster) error {
	dir := sshfiles.Dir(filepath.Join(env.WorkDir, ".keys"))
	if err := os.Mkdir(string(dir), 0o700); err != nil {
		return err
	}
	env.Setenv("KEYS", string(dir))
	env.Setenv("SSH", dir.Path("ssh_config"))
	env.Setenv("NOMAD", cluster.URL)
	env.Setenv("NOMAD_BINARY", nomadtest.Binary())
	source, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	env.Setenv("SRC", source)
	host, err := dir.NewKey("hostkey")
	if err != nil {
		return err
	}
	env.Values["host"] = host
	env.Values["cluster"] = cluster
	env.Values["process"] = &scriptProcess{}
	for _, user := range scriptUsers {
		key, err := dir.NewKey(user)
		if err != nil {
			return err
		}
		env.Setenv("KEY_"+user, sshfiles.AuthorizedKeyLine(key))
	}
	return os.WriteFile(dir.Path("token"), []byte(nomadtest.Token+"\n"), 0o600)
}

// expand implements the script command expand.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(os.Expand(ts.ReadFile(file), ts.Getenv)), 0o600))
	}
}

// runHugeJobs implements the script command hugejobs.
func runHugeJobs(ts *testscript.TestScript, _ bool, _ []string) {
	c := ts.Value("cluster").(nomadtest.Cluster).Sim
	c.AddJob(nomadsim.Job{ID: "p-team1-many", Groups: []nomadsim.Group{{Name: "g", Count: 10000}}})
	loud := jobspec.Killing(time.Now(), strings.Repeat("\x1b[2J\u202e loud\n", 1<<16))
	c.AddJob(nomadsim.Job{ID: "p-team1-loud", Groups: []nomadsim.Group{{
		Name: "g", Tasks: []nomadsim.Task{{Name: "t"}},
		Allocations: []nomadsim.Allocation{{
			Node: "node-1", Tasks: map[string]nomadsim.TaskState{"t": {Events: []nomadsim.Event{loud}}},
		}},
	}}})
}

// hangNode implements the script command hang.
func hangNode(ts *testscript.TestScript, _ bool, args []string) {
	ts.Value("cluster").(nomadtest.Cluster).Sim.AddNode(nomadsim.Node{Name: args[0], Hangs: true})
}

// writeConfig writes nomadctld.toml from the file in the first argument, or from standardConfig, and returns its path.
// It replaces each $NAME with its value in the environment.
func writeConfig(ts *testscript.TestScript, args []string) string {
	text := standardConfig
	if len(args) == 1 {
		text = os.Expand(ts.ReadFile(args[0]), func(name string) string {
			if name == "STANDARD" {
				return standardConfig
			}
			return "$" + name
		})
	}
	file := ts.MkAbs("nomadctld.toml")
	ts.Check(os.WriteFile(file, []byte(os.Expand(text, ts.Getenv)), 0o600))
	return file
}

// useGateway configures the script's ssh for the gateway at an address.
func useGateway(ts *testscript.TestScript, address string) {
	dir := sshfiles.Dir(ts.Getenv("KEYS"))
	ts.Check(dir.WriteConfig(address, ts.Value("host").(ssh.Signer), scriptUsers...))
	host, port, _ := strings.Cut(address, ":")
	ts.Setenv("HOST", host)
	ts.Setenv("PORT", port)
}

// startGateway implements the script command gateway.
func startGateway(ts *testscript.TestScript, neg bool, args []string) {
	file := writeConfig(ts, args)
	c, diagnostics := config.Load(file, gateway.Commands())
	if c == nil {
		ts.Fatalf("the script's configuration: %v", diagnostics)
	}
	log, err := os.Create(ts.MkAbs("gateway.log"))
	ts.Check(err)
	g, err := gateway.Listen(c, slog.New(slog.NewTextHandler(io.Writer(log), nil)))
	ts.Check(err)
	useGateway(ts, g.Addr().String())
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx) }()
	ts.Defer(func() {
		stop()
		if err := <-served; err != nil {
			fmt.Fprintln(os.Stderr, "gateway:", err)
		}
		log.Close()
	})
}
