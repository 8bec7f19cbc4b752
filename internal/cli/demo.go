package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"nomadctld/internal/demo"
)

const demoUsage = `Usage: nomadctld demo [COMMAND [ARG...]]

Serve a gateway to three simulated clusters on 127.0.0.1, with two users and
keys that exist only while it runs. With a command, run it on such a gateway and
exit with its exit code.

Examples:
  nomadctld demo                       serve, until Ctrl-C
  nomadctld demo help                  list the commands of the gateway
  nomadctld demo ps --help             explain one
  nomadctld demo logs p-team1-web      run one
`

func runDemo(command []string) int {
	if len(command) > 0 && strings.HasPrefix(command[0], "-") {
		switch command[0] {
		case "-h", "-help", "--help":
			fmt.Print(demoUsage)
			return 0
		}
		return fail(2, "demo has no flags: %s (see: nomadctld demo --help)", command[0])
	}
	dir, err := os.MkdirTemp("", "nomadctld-demo-")
	if err != nil {
		return fail(1, "demo: %v", err)
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop() // only at the end, so that a second signal does not skip the cleanup of tasks and keys
	d, err := demo.Start(dir)
	if err != nil {
		return fail(1, "demo: %v", err)
	}
	defer d.Close()
	if len(command) > 0 {
		code, err := d.Run(ctx, command, os.Stdin, os.Stdout, os.Stderr)
		if err != nil {
			return fail(1, "demo: %v", err)
		}
		return code
	}
	fmt.Print(d.Instructions())
	<-ctx.Done()
	return 0
}
