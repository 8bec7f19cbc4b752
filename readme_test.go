package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/shlex"

	"nomadctld/config"
	"nomadctld/internal/demo"
	"nomadctld/internal/gateway"
	"nomadctld/internal/sshfiles"
)

// TestDocumentedConfiguration loads the configuration in docs/operations.md, with real keys and files instead of its examples.
func TestDocumentedConfiguration(t *testing.T) {
	block := regexp.MustCompile("(?s)```toml\n(.*?)```").FindStringSubmatch(readFile(t, "docs/operations.md"))
	if block == nil {
		t.Fatal("docs/operations.md has no configuration")
	}
	dir := sshfiles.Dir(t.TempDir())
	key, err := dir.NewKey("hostkey")
	if err != nil {
		t.Fatal(err)
	}
	other, err := dir.NewKey("other")
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, dir, "nomad", "docker")
	for _, token := range []string{"token-p", "token-q"} {
		if err := os.WriteFile(dir.Path(token), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.ReplaceAll(block[1], "/etc/nomadctld/", dir.Path("")+"/")
	text = strings.Replace(text, "ssh-ed25519 AAAA...", sshfiles.PublicLine(key), 1)
	text = strings.Replace(text, "ssh-ed25519 AAAA...", sshfiles.PublicLine(other), 1)
	if err := os.WriteFile(dir.Path("nomadctld.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, faults := config.Load(dir.Path("nomadctld.toml"), gateway.Commands())
	for _, fault := range faults {
		t.Error(fault)
	}
	if c != nil && c.Summary() != "2 tiers (production, quality), 2 users, 2 prefix groups" {
		t.Errorf("got %s", c.Summary())
	}
}

// TestTheDocumentedOutputsAreTheDemos runs each command of docs/outputs.md, and that of README.md, and compares what it
// prints, but for the white space at the ends of lines and for the dates, which move on.
func TestTheDocumentedOutputsAreTheDemos(t *testing.T) {
	text := readFile(t, "docs/outputs.md")
	inReadme := strings.ReplaceAll(readFile(t, "README.md"), `$ make demo ARGS="ps mattermost"`, "$ nomadctld demo ps mattermost")
	if inReadme == readFile(t, "README.md") {
		t.Error("README.md shows no output of the demo")
	}
	d, err := demo.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	dates := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|(?m) +$`)
	blocks := regexp.MustCompile("(?s)```text\n\\$ nomadctld demo ([^\n]*)\n(.*?)```").FindAllStringSubmatch(text+inReadme, -1)
	if len(blocks) < 9 {
		t.Fatalf("only %d outputs", len(blocks))
	}
	for _, block := range blocks {
		var stdout, stderr bytes.Buffer
		words, err := shlex.Split(block[1])
		if err != nil {
			t.Fatal(err)
		}
		got, want := "", dates.ReplaceAllString(block[2], "")
		for try := 0; got != want && try < 5; try++ { // a figure may be missing while the machine is busy
			stdout.Reset()
			stderr.Reset()
			if _, err := d.Run(t.Context(), words, strings.NewReader(""), &stdout, &stderr); err != nil {
				t.Fatal(err)
			}
			got = dates.ReplaceAllString(stdout.String(), "")
		}
		if got != want {
			t.Errorf("%s prints\n%s%sand is documented to print\n%s", block[1], got, stderr.String(), want)
		}
	}
}
