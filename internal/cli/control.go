package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"nomadctld/internal/gateway"
)

const reloadUsage = `Usage: nomadctld [-config FILE] reload

Make the running gateway load its configuration, and the files that it names,
again. Print what changed. If there is an error, print it and exit with 1: the
gateway then continues with the earlier configuration.

This needs general.control in the configuration. Without it, send SIGHUP to the
gateway, which logs the result. The gateway also reloads by itself when a file
changes.
`

const drainUsage = `Usage: nomadctld [-config FILE] drain [--wait DURATION]

Make the running gateway accept no new connections and no new commands. Running
commands get a notice and continue. The gateway does not exit: stop it when
nothing is running any more. A drain cannot be undone.

This needs general.control in the configuration. Without it, send SIGUSR1 to
the gateway.

Flags:
  --wait DURATION  wait until nothing is running, for example 10m; exit with 1
                   if something is still running then
`

// runReload makes the running gateway reload its configuration.
func runReload(file string, args []string) int {
	flags := controlFlags("reload")
	if code, ok := parseControl(flags, args, reloadUsage); !ok {
		return code
	}
	return control(file, gateway.ControlRequest{Command: "reload"})
}

// runDrain drains the running gateway.
func runDrain(file string, args []string) int {
	flags := controlFlags("drain")
	wait := flags.Duration("wait", 0, "")
	if code, ok := parseControl(flags, args, drainUsage); !ok {
		return code
	}
	if *wait < 0 {
		return fail(2, "drain: --wait is negative: %s", *wait)
	}
	return control(file, gateway.ControlRequest{Command: "drain", Wait: *wait})
}

func controlFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parseControl parses the arguments of a subcommand without other arguments. If ok is false, the program exits.
func parseControl(flags *flag.FlagSet, args []string, usage string) (code int, ok bool) {
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		return 0, false
	case err != nil:
		return fail(2, "%s: %v (see: nomadctld %s --help)", flags.Name(), err, flags.Name()), false
	case flags.NArg() > 0:
		return fail(2, "%s takes no arguments (see: nomadctld %s --help)", flags.Name(), flags.Name()), false
	}
	return 0, true
}

// control sends a request to the gateway of a configuration and prints the result.
func control(file string, request gateway.ControlRequest) int {
	c := loadConfig(file)
	if c == nil {
		return fail(1, "%s: the configuration has errors, so nothing was done; the running gateway is not affected",
			request.Command)
	}
	if c.General.Control == "" {
		signal := map[string]string{"reload": "SIGHUP", "drain": "SIGUSR1"}[request.Command]
		return fail(1, "%s: general.control is not set; set it and restart the gateway, or send it %s",
			request.Command, signal)
	}
	lines, err := gateway.Control(c.General.Control, request)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fail(1, "%s: %s", request.Command, strings.TrimSuffix(line, "\n"))
		}
		return 1
	}
	for _, line := range lines {
		fmt.Fprintln(os.Stdout, line)
	}
	return 0
}
