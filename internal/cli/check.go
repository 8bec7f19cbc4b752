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

const checkUsage = `Usage: nomadctld [-config FILE] check [--as USER]

Check the configuration and the files that it names. Print every error and
warning with its line and the next step, or a summary and the fingerprints of
the host keys. No connection is made and no file is changed.

Flags:
  --as USER      as root: check with the rights of this user and its groups, as
                 the gateway will run (a name, UID or UID:GID)
  -config FILE   configuration file, here or before check
`

// runCheck checks the configuration, as another user if the flags say so.
func runCheck(file string, args []string) int {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&file, "config", file, "")
	as := flags.String("as", "", "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Print(checkUsage)
		return 0
	} else if err != nil {
		return fail(2, "check: %v (see: nomadctld check --help)", err)
	}
	if flags.NArg() > 0 {
		return fail(2, "check takes no arguments; to check a file: nomadctld -config %s check", flags.Arg(0))
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
	return 0
}
