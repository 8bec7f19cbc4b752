package nomadcli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// jsonFromStdin holds a job to JSON on the standard input: a file or an address would be fetched by this machine,
// and a job in HCL can hold the contents of its files.
func jsonFromStdin(c command) error {
	if c.help {
		return nil
	}
	// -json=false would be HCL again
	if len(c.words) != 1 || c.words[0] != "-" || len(c.values["json"]) == 0 || slices.ContainsFunc(c.values["json"], func(v string) bool { return v != "" }) {
		return fmt.Errorf(`nomad %s takes a job only as "nomad %[1]s -json -", from the standard input: files and addresses would be read by the gateway's machine, and so would be what a job in HCL refers to`, c.path)
	}
	return nil
}

func noWords(c command) error {
	if len(c.words) > 0 {
		return fmt.Errorf("nomad %s takes no %s", c.path, quoted(c.words[0]))
	}
	return nil
}

func stdinFirst(c command) error  { return stdinAt(c, 0) }
func stdinSecond(c command) error { return stdinAt(c, 1) }

func stdinAt(c command, i int) error {
	if len(c.words) > i+1 || len(c.words) == i+1 && c.words[i] != "-" {
		return fmt.Errorf(`nomad %s reads only from the standard input: write "-" instead of %s, which is a file of the gateway's machine`, c.path, quoted(c.words[i]))
	}
	return nil
}

var namespaceName = regexp.MustCompile(`^[A-Za-z0-9-]{1,128}$`)

// stdinOrName is for a command that takes its word for a file if there is one. In the directory in which it runs there is
// none of such a name.
func stdinOrName(c command) error {
	if slices.ContainsFunc(c.words, func(w string) bool { return !namespaceName.MatchString(w) }) {
		return fmt.Errorf(`nomad %s takes a name or "-" for the standard input: anything else would be a file of the gateway's machine`, c.path)
	}
	return nil
}

// noFileReference refuses @file and key=@file.
func noFileReference(c command) error {
	for _, w := range c.words {
		if strings.HasPrefix(w, "@") || strings.Contains(w, "=@") {
			return fmt.Errorf(`nomad %s does not take %s: it would read a file of the gateway's machine; "-" is the standard input`, c.path, quoted(w))
		}
	}
	return nil
}

// checkAllowed holds a command against Allow. Both are taken by their full names, so that "job stop" is about stop as well.
func (b Binary) checkAllowed(c command) error {
	if b.Allow == nil || slices.ContainsFunc(b.Allow, func(begin string) bool { return hasCommandPrefix(c.path, begin) }) {
		return nil
	}
	if c.path == "" {
		return errors.New("the gateway's configuration does not allow nomad without a command")
	}
	return fmt.Errorf("the gateway's configuration does not allow nomad %s", c.path)
}

// IsKnownPrefix says whether any command may be run that has this beginning, one of Binary.Allow.
func IsKnownPrefix(begin string) bool {
	for path, r := range rules {
		if r.refused == "" && r.aliasOf == "" && hasCommandPrefix(path, begin) {
			return true
		}
	}
	return false
}

func hasCommandPrefix(path, begin string) bool {
	begin = strings.Join(strings.Fields(begin), " ")
	if as := rules[begin].aliasOf; as != "" {
		begin = as
	}
	return begin != "" && (path == begin || strings.HasPrefix(path, begin+" "))
}
