package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nomadctld/internal/testenv"
	"nomadctld/router"
)

func TestNomadctl_ArgumentsAsTyped(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	words := []string{
		"a  b", "", "#comment", "a#b", "~", "~root", "it's", "''", `"q"`, "two\nlines", "ends\n", "\n", "\ttab ",
		`back\slash\`, `\'`,
		"$HOME", "`id`", "$(id)", "*", "?", "-e", "--", "--help", ";", "a;b", "|", "&", ">x", "{a,b}", "!!", "=x", "é",
		"%s", strings.Repeat("'", 50),
	}
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		c.setGateway(g, "wim")
		out, errs, code := c.run("", append([]string{"exec", "p-team1-box", "printf", `%s\0`}, words...)...)
		if want := strings.Join(words, "\x00") + "\x00"; out != want || errs != "" || code != 0 {
			t.Errorf("got %q, %q, %d, want %q", out, errs, code, want)
		}
		out, errs, code = c.run("", "exec", "p-team1-box", "sh", "-c", `printf '<%s>' a "b  c" "$0"`, "d  e")
		if want := "<a><b  c><d  e>"; out != want || errs != "" || code != 0 {
			t.Errorf("got %q, %q, %d, want %q", out, errs, code, want)
		}
		out, _, _ = c.run("", "exec", "p-team1-box", "-c", `echo "x  y" | tr a-z A-Z`)
		if want := "X  Y\n"; out != want {
			t.Errorf("got %q, want %q", out, want)
		}
		c.env["LC_ALL"] = "C.UTF-8"
		for _, long := range []string{strings.Repeat("x", 100_000), strings.Repeat("é", 50_000)} {
			_, errs, code = c.run("", "exec", "p-team1-box", "echo", long, long)
			if want := "nomadctl: the arguments are too long for one command line: 200"; !strings.HasPrefix(errs,
				want) || code != 2 {
				t.Errorf("too long: got %.200q, %d, want %q, 2", errs, code, want)
			}
		}
		half := strings.Repeat("é", 30_000)
		if out, errs, code = c.run("", "exec", "p-team1-box", "echo", half, half); out != half+" "+half+"\n" || code != 0 {
			t.Errorf("not too long: got %d bytes, %.200q, %d", len(out), errs, code)
		}
	})
}

func TestNomadctl_StreamsAndExitCodes(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		c.setGateway(g, "wim")
		for _, tc := range []struct {
			words               []string
			stdin, out, stderrs string
			code                int
		}{
			{[]string{"exec", "p-team1-box", "cat"}, "in\x00\xff\r\n", "in\x00\xff\r\n", "", 0},
			{[]string{"exec", "p-team1-box", "sh", "-c", "echo o; echo e >&2; exit 7"}, "", "o\n", "e\n", 7},
			// a lost connection would print an error
			{[]string{"exec", "p-team1-box", "--", "sh", "-c", "exit 255"}, "", "", "", 255},
			{[]string{"exec", "p-team1-box", "sh", "-c", "kill -TERM $$"}, "", "", "", 143},
			{[]string{"inspect", "nothing"}, "", "", "nomadctld: no job nothing (see: ps --all)\n", 1},
			{[]string{"sp"}, "", "", "nomadctld: no command sp: did you mean ps? (see: help)\n", 2},
			{
				[]string{"--", "can-i", "ps", "x"},
				"",
				"no: none of your prefixes matches its ID (ps is in the set @read)\n", "", 1,
			},
		} {
			out, errs, code := c.run(tc.stdin, tc.words...)
			if out != tc.out || errs != tc.stderrs || code != tc.code {
				t.Errorf("%q: got %q, %q, %d, want %q, %q, %d", tc.words, out, errs, code, tc.out, tc.stderrs, tc.code)
			}
		}
	})
}

func TestNomadctl_RequestsTerminal(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		c.setGateway(g, "wim")
		probe := "if test -t 0; then echo is a ter''minal; else echo is no'ne'; fi"
		on := onTerminal(t, c.command("exec", "p-team1-box", "-c", probe), 80, 24)
		on.expect("is a terminal\r\n")
		on.waitExit()
		on = onTerminal(t, c.command("-T", "exec", "p-team1-box", "-c", probe), 80, 24)
		on.expect("is none\r\n")
		on.waitExit()
		if out, _, _ := c.run("", "exec", "p-team1-box", "-c", probe); out != "is none\n" {
			t.Errorf("without a local terminal: got %q", out)
		}
		// No terminal if the output is a pipe.
		piped := c.command("exec", "p-team1-box", "-c", probe)
		piped.Args = append([]string{"sh", "-c", `"$@" | od -c`, "sh"}, piped.Args...)
		piped.Path, _ = exec.LookPath("sh")
		on = onTerminal(t, piped, 80, 24)
		on.expect(`n   o   n   e  \n`)
		on.waitExit()
		// Colours, unless NO_COLOR is set.
		for value, want := range map[string]bool{"": true, "1": false} {
			c.env["NO_COLOR"] = value
			on = onTerminal(t, c.command("ps", "team1-fail"), 120, 24)
			if _, got := on.waitExit(); strings.Contains(got, "\x1b[") != want || !strings.Contains(got, "p-team1-fail") {
				t.Errorf("NO_COLOR=%s: got %q, want colors: %v", value, got, want)
			}
		}

		c.fakeSSH()
		for _, spec := range router.Specs() {
			if spec.Hidden {
				continue
			}
			want := "-T\r\n"
			if spec.WantsTerminal {
				want = "-t\r\n"
			}
			on := onTerminal(t, c.command(spec.Name, "x"), 80, 24)
			if _, got := on.waitExit(); !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %.20q, want %q", spec.Name, got, want)
			}
		}
	})
}

func TestNomadctl_Shellcheck(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("no shellcheck: apt-get install shellcheck")
	}
	script, err := os.Open(nomadctlScript) // so that go test knows that the result depends on it
	if err != nil {
		t.Fatal(err)
	}
	defer script.Close()
	cmd := exec.Command("shellcheck", "-")
	cmd.Stdin = script
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNomadctlUsage_ExamplesAreAccepted(t *testing.T) {
	t.Parallel()
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
		for _, words := range testenv.UsageExamples(t, help) {
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
