// Package cli is the command line of nomadctld: it serves a gateway, and has the subcommands check, reload, drain,
// health, demo and version. It owns the program's messages, exit codes and signals. Everything else is in the packages
// that it calls.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usageLine = "Usage: nomadctld [-config FILE] [COMMAND]"

const usage = usageLine + `

Serve an SSH gateway to Nomad, or run a command.

Commands:
  check [--as USER]  check the configuration and report errors; as root, for
                     the user that the gateway will run as; with --online,
                     also contact the clusters
  health             check whether the gateway responds on this machine
  reload             make the running gateway reload its configuration
  drain              make it accept no new connections, for an update
  demo [COMMAND...]  serve a gateway to three simulated clusters, or run one
                     command on it
  version            print the version
  help               print this help

Flags:
  -config FILE  configuration file (default ./nomadctld.toml, else
                /etc/nomadctld/nomadctld.toml)
  -version      print the version

Examples:
  nomadctld -config ./nomadctld.toml check
  nomadctld check --as nomadctld
  nomadctld drain --wait 10m
  nomadctld demo
  nomadctld demo ps mattermost
`

// Main runs nomadctld with these arguments and returns the exit code.
func Main(args []string) int {
	flags := flag.NewFlagSet("nomadctld", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("config", "", "")
	showVersion := flags.Bool("version", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		return 0
	} else if err != nil {
		return fail(2, "%v\n%s (see: nomadctld -h)", err, usageLine)
	}
	if *showVersion {
		return printVersion()
	}
	command, rest := flags.Arg(0), flags.Args()
	if len(rest) > 0 {
		rest = rest[1:]
	}
	switch {
	case command == "demo":
		return runDemo(rest)
	case command == "check":
		return runCheck(*file, rest)
	case command == "reload":
		return runReload(*file, rest)
	case command == "drain":
		return runDrain(*file, rest)
	case len(rest) > 0:
		return fail(2, "%s takes no arguments\n%s (see: nomadctld -h)", command, usageLine)
	case command == "":
		return serve(*file)
	case command == "health":
		return checkHealth(*file)
	case command == "version":
		return printVersion()
	case command == "help":
		fmt.Print(usage)
		return 0
	default:
		return fail(2, "unknown command %q\n%s (see: nomadctld -h)", command, usageLine)
	}
}

// fail prints an error and returns the exit code.
func fail(code int, format string, args ...any) int {
	fmt.Fprintf(os.Stderr, "nomadctld: "+format+"\n", args...)
	return code
}
