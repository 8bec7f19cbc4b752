package nomadcli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// jsonFromStdin permits jobs only as JSON on stdin. A file or address would be fetched by this machine, and an HCL
// job can include the contents of its files.
func jsonFromStdin(c command) error {
	if c.help {
		return nil
	}
	// -json=false means HCL.
	hasValue := slices.ContainsFunc(c.values["json"], func(v string) bool { return v != "" })
	if len(c.args) != 1 || c.args[0] != "-" || len(c.values["json"]) == 0 || hasValue {
		return fmt.Errorf(`nomad %s accepts a job only as "nomad %[1]s -json -", from stdin: `+
			`otherwise nomad would read files and fetch URLs from the gateway's machine, `+
			`and an HCL job can include such files`, c.path)
	}
	return nil
}

// noWords permits no arguments.
func noWords(c command) error {
	if len(c.args) > 0 {
		return fmt.Errorf("nomad %s does not accept the argument %s", c.path, quoted(c.args[0]))
	}
	return nil
}

// stdinFirst permits only "-" as the first argument, and no further ones.
func stdinFirst(c command) error { return stdinAt(c, 0) }

// stdinSecond permits any first argument, and only "-" as the second.
func stdinSecond(c command) error { return stdinAt(c, 1) }

func stdinAt(c command, i int) error {
	if len(c.args) > i+1 || len(c.args) == i+1 && c.args[i] != "-" {
		return fmt.Errorf(
			`nomad %s reads only from stdin: write "-" instead of a file on the gateway's machine, and nothing after it`, c.path)
	}
	return nil
}

var namespaceName = regexp.MustCompile(`^[A-Za-z0-9-]{1,128}$`)

// stdinOrName is for a command that reads its argument as a file if that file exists. The directory in which it runs
// has no file with such a name.
func stdinOrName(c command) error {
	if slices.ContainsFunc(c.args, func(w string) bool { return !namespaceName.MatchString(w) }) {
		return fmt.Errorf(`nomad %s accepts a name or "-" for stdin: anything else would be a file on the gateway's machine`,
			c.path)
	}
	return nil
}

// noFileReference refuses @file and key=@file.
func noFileReference(c command) error {
	for _, w := range c.args {
		if strings.HasPrefix(w, "@") || strings.Contains(w, "=@") {
			return fmt.Errorf(`nomad %s does not accept %s: it would read a file on the gateway's machine; use "-" for stdin`,
				c.path, quoted(w))
		}
	}
	return nil
}

// checkAllowed checks a command against Allow. It compares full names, so that "job stop" also matches stop.
func (b Binary) checkAllowed(c command) error {
	if b.Allow == nil || slices.ContainsFunc(b.Allow,
		func(prefix string) bool { return hasCommandPrefix(c.path, prefix) }) {
		return nil
	}
	if c.path == "" {
		return errors.New("the gateway's configuration does not permit nomad without a command")
	}
	return fmt.Errorf("the gateway's configuration does not permit nomad %s", c.path)
}

// IsKnownPrefix reports whether a prefix, as used in Binary.Allow, matches any permitted command.
func IsKnownPrefix(prefix string) bool {
	for path, r := range rules {
		if r.refused == "" && r.aliasOf == "" && hasCommandPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// hasCommandPrefix reports whether a command's full name is prefix or a subcommand of it. prefix may be an alias.
func hasCommandPrefix(path, prefix string) bool {
	prefix = strings.Join(strings.Fields(prefix), " ")
	if as := rules[prefix].aliasOf; as != "" {
		prefix = as
	}
	return prefix != "" && (path == prefix || strings.HasPrefix(path, prefix+" "))
}
