package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/shlex"

	"nomadctld/router"
)

// usageExamples returns the words of each line below "Examples:", without the comment. The test fails if a line of the
// usage is wider than a screen.
func usageExamples(t *testing.T, usage string) (examples [][]string) {
	t.Helper()
	for line := range strings.Lines(usage) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns, want at most 80: %q", n, line)
		}
	}
	_, section, _ := strings.Cut(usage, "\nExamples:\n")
	section, _, _ = strings.Cut(section, "\n\n")
	for line := range strings.Lines(section) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "  ") // the comment
		words, err := shlex.Split(line)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		examples = append(examples, words)
	}
	if len(examples) == 0 {
		t.Fatal("found no examples")
	}
	return examples
}

func TestUsage_ExamplesAreAccepted(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, words := range usageExamples(t, usage) {
		if words[0] != "nomadctld" {
			t.Errorf("%q is an example of another program", words)
			continue
		}
		if len(words) == 2 && words[1] == "demo" { // it serves until it gets a signal
			continue
		}
		if code := run(words[1:]); code == 2 {
			t.Errorf("%q: the command line is wrong", words)
		}
	}
	if code := run([]string{"-nosuch"}); code != 2 {
		t.Errorf("a wrong command line: got %d, want 2", code)
	}
}

func TestNomadctlUsage_ExamplesAreAccepted(t *testing.T) {
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		help, _, _ := c.run("", "--help")
		c.fakeSSH()
		c.write("bin/ssh-keyscan", "#!/bin/sh\n") // shows no key
		if err := os.Chmod(filepath.Join(c.home, "bin/ssh-keyscan"), 0o700); err != nil {
			t.Fatal(err)
		}
		c.env["NOMADCTL_HOST"] = "gateway.example.org"
		specs := map[string]router.Spec{}
		for _, spec := range router.Specs() {
			specs[spec.Name] = spec
		}
		c.write("config/nomadctl/config", "[work]\nhost = gateway.example.org\n")
		for _, words := range usageExamples(t, help) {
			args := words[1:]
			if len(args) > 0 && args[0] == "setup" {
				args = append([]string{"setup", "--replace"}, args[1:]...)
			}
			if _, errs, code := c.run("", args...); words[0] != "nomadctl" || code == 2 {
				t.Errorf("%q: got %q, %d", words, errs, code)
			}
			if len(args) > 1 && args[0] == "-s" {
				args = args[2:]
			}
			if len(args) == 0 || args[0] == "setup" {
				continue
			}
			spec, ok := specs[args[0]]
			if !ok {
				t.Errorf("%q: no command %s", words, args[0])
			} else if _, err := spec.Parse(new(router.Request), args[1:]); err != nil {
				t.Errorf("%q: %v", words, err)
			}
		}
	})
}
