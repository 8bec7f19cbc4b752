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

const checkUsage = `Usage: nomadctld [-config FILE] check [--as USER] [--online [--json]]

Check the configuration and the files that it names. Print every error and
warning with its line and the next step, or a summary and the fingerprints of
the host keys. No file is changed. Without --online, no connection is made.

Flags:
  --as USER      as root: check with the rights of this user and its groups, as
                 the gateway will run (a name, UID or UID:GID)
  --online       also contact the clusters and the Docker daemons of their nodes,
                 read-only, and print what works with the token of each tier
  --json         with --online: print only its results, as JSON
  -config FILE   configuration file, here or before check

Exit codes:
  0  no errors, maybe warnings
  1  an error in the configuration, or --online found that something that
     commands need does not work
  2  wrong usage
`

// runCheck checks the configuration, as another user if the flags say so.
func runCheck(file string, args []string) int {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&file, "config", file, "")
	as := flags.String("as", "", "")
	online, asJSON := flags.Bool("online", false, ""), flags.Bool("json", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Print(checkUsage)
		return 0
	} else if err != nil {
		return fail(2, "check: %v (see: nomadctld check --help)", err)
	}
	if flags.NArg() > 0 {
		return fail(2, "check takes no arguments; to check a file: nomadctld -config %s check", flags.Arg(0))
	}
	if *asJSON && !*online {
		return fail(2, "check: --json needs --online")
	}
	if *as != "" {
		if err := becomeUser(*as); err != nil {
			return fail(1, "check: %v", err)
		}
	}
	c := loadConfig(file)
	if c == nil {
		return 1
	}
	keys, err := gateway.Check(c)
	if err != nil {
		return fail(1, "%s: %v", c.Path, err)
	}
	if *asJSON {
		return checkOnline(c, true)
	}
	fmt.Printf("%s: %s\n", c.Path, c.Summary())
	for _, key := range keys {
		fmt.Printf("host key: %s (%s), %s\n", key.Fingerprint, key.Type, key.File)
	}
	fmt.Printf("settings that need a restart (a reload applies all others): %s\n",
		strings.Join(gateway.NeedRestart(), ", "))
	if *as == "" && os.Geteuid() == 0 && os.Getenv("NOMADCTLD_CONTAINER") == "" {
		fmt.Fprintln(os.Stderr, "note: checked as root, who may read every file; if the gateway runs as another user, "+
			"use check --as USER")
	}
	if *online {
		return checkOnline(c, false)
	}
	return 0
}
