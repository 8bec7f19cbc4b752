package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nomadctld/internal/sshfiles"
	"nomadctld/internal/testenv"
)

// fencePattern matches the start of a code block.
var fencePattern = regexp.MustCompile("(?m)^```([a-z]+)$")

// TestDocs_EveryCodeBlockCovered checks that the tests cover the language of every code block, and that the commands at
// the start of a file in deploy come after the reason why they are not run.
func TestDocs_EveryCodeBlockCovered(t *testing.T) {
	t.Chdir("../../..")
	for _, file := range documentFiles(t) {
		for _, found := range fencePattern.FindAllStringSubmatch(testenv.ReadFile(t, file), -1) {
			if !slices.Contains([]string{"sh", "text", "toml"}, found[1]) {
				t.Errorf("%s has a code block in %s, which no test checks", file, found[1])
			}
		}
	}
	deployed, _ := filepath.Glob("deploy/*")
	commands := 0
	for _, file := range deployed {
		marked := false
		for line := range strings.SplitSeq(testenv.ReadFile(t, file), "\n") {
			marked = marked || strings.HasPrefix(line, "# No test runs these commands: ")
			if strings.HasPrefix(line, "#   ") {
				commands++
				if !marked {
					t.Errorf("%s: %q is not run and not marked", file, line)
				}
			}
		}
	}
	if commands == 0 {
		t.Error("found no commands in deploy, so the test cannot fail")
	}
}

// shellBlockPattern matches a shell block, with the reason above it if it is not run.
var shellBlockPattern = regexp.MustCompile("(?s)(<!-- not run: ([^\n]+) -->\n)?```sh\n(.*?)```")

// TestDocs_ShellBlocksRun runs the shell blocks of the documents in the root directory. /etc/nomadctld is replaced by a
// directory of the test.
func TestDocs_ShellBlocksRun(t *testing.T) {
	t.Chdir("../../..")
	testenv.E2E(t) // it builds the program
	dir := sshfiles.Dir(t.TempDir())
	key, err := dir.NewKey("wim") // README.md, the first document, creates the host key
	if err != nil {
		t.Fatal(err)
	}
	settings := "general = { hostkey = \"" + dir.Path("hostkey") + "\", bind = \"127.0.0.1:0\" }\n" +
		"nomad.production = { url = \"http://127.0.0.1:1\", prefix = [\"p-\"] }\nprefix.all.prefix = [\"p-\"]\n" +
		"users.wim = { prefix = [\"all\"], key = \"" + sshfiles.AuthorizedKeyLine(key) + "\" }\n"
	if err := os.WriteFile(dir.Path("nomadctld.toml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, file := range documentFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range shellBlockPattern.FindAllStringSubmatch(string(text), -1) {
			if block[2] != "" {
				continue
			}
			ran++
			script := strings.ReplaceAll(block[3], "/etc/nomadctld/", string(dir)+"/")
			if out, err := exec.Command("sh", "-euc", script).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s\n%s", file, err, script, out)
			}
		}
	}
	if ran == 0 {
		t.Error("found no shell block, so the test cannot fail")
	}
}
