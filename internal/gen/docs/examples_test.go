package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/shlex"

	"nomadctld/config"
	"nomadctld/internal/demo"
	"nomadctld/internal/gateway"
	"nomadctld/internal/sshfiles"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
)

// documentFiles returns the Markdown files of the project, README.md first.
func documentFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"}, files...)
}

var tomlBlockPattern = regexp.MustCompile("(?s)```toml\n(.*?)```")

// gatewayWithConfig writes a documented configuration to the directory of a test gateway. Real keys and files replace
// the examples. The users "ann" and "wim" have the first and the second key.
func gatewayWithConfig(t *testing.T, text string) *gatewaytest.Gateway {
	t.Helper()
	g := gatewaytest.NewFiles(t)
	gatewaytest.WritePEM(t, g.Dir, "nomad", "docker")
	for _, token := range []string{"token", "token-p", "token-q"} {
		if err := os.WriteFile(g.Dir.Path(token), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/etc/nomadctld", "/var/log/nomadctld", "/var/lib/nomadctld"} {
		text = strings.ReplaceAll(text, path+"/", g.Dir.Path("")+"/")
	}
	for _, name := range []string{"ann", "wim"} {
		text = strings.Replace(text, "ssh-ed25519 AAAA...", sshfiles.AuthorizedKeyLine(g.Keys[name]), 1)
	}
	g.WriteConfig(t, text)
	return g
}

// TestDocs_ConfigurationsLoad loads every TOML block of the documents.
func TestDocs_ConfigurationsLoad(t *testing.T) {
	t.Chdir("../../..")
	want := map[string]string{
		"README.md":          "1 tier (production), 1 user, 1 prefix group",
		"docs/operations.md": "2 tiers (production, quality), 2 users, 2 prefix groups",
	}
	for _, file := range documentFiles(t) {
		blocks := tomlBlockPattern.FindAllStringSubmatch(testenv.ReadFile(t, file), -1)
		if known := want[file] != ""; known != (len(blocks) == 1) || len(blocks) > 1 {
			t.Errorf("%s has %d configurations, and this test does not know them", file, len(blocks))
			continue
		}
		for _, block := range blocks {
			c, diagnostics := config.Load(gatewayWithConfig(t, block[1]).ConfigFile(), gateway.Commands())
			for _, d := range diagnostics {
				t.Errorf("%s: %s", file, d)
			}
			if c != nil && c.Summary() != want[file] {
				t.Errorf("%s: got %s, want %s", file, c.Summary(), want[file])
			}
		}
	}
}

// sshBlockPattern is a block of README.md with ssh commands and their output.
var sshBlockPattern = regexp.MustCompile("(?s)```text\n(\\$ ssh gw .*?)```")

// parseTranscript returns the commands of a block of README.md and the output of each.
func parseTranscript(block string) (commands, outputs []string) {
	for part := range strings.SplitSeq("\n"+block, "\n$ ssh gw ") {
		if command, output, ok := strings.Cut(part, "\n"); ok {
			commands, outputs = append(commands, command), append(outputs, strings.TrimSuffix(output, "\n")+"\n")
		}
	}
	return commands, outputs
}

// TestReadme_AccessExample runs the example of access control against a gateway with the configuration of README.md.
func TestReadme_AccessExample(t *testing.T) {
	t.Chdir("../../..")
	readme := testenv.ReadFile(t, "README.md")
	const settings = "general.bind = \"127.0.0.1:0\"\naudit.file = \"/etc/nomadctld/audit\"\n"
	g := gatewayWithConfig(t, settings+tomlBlockPattern.FindStringSubmatch(readme)[1])
	g.Serve(t)
	ran := 0
	for _, block := range sshBlockPattern.FindAllStringSubmatch(readme, -1) {
		commands, outputs := parseTranscript(block[1])
		for i, command := range commands {
			if !strings.HasPrefix(command, "can-i ") {
				continue
			}
			ran++
			if got, _ := g.SSH("ann", command).Output(); string(got) != outputs[i] { // the exit code is 1 for no
				t.Errorf("%s printed\n%swant, as documented,\n%s", command, got, outputs[i])
			}
		}
	}
	if ran < 2 {
		t.Errorf("ran %d commands, want at least 2", ran)
	}
}

// TestDocs_OutputsMatchDemo runs the commands of docs/outputs.md and of the transcript in README.md, and compares the
// output. It ignores dates and trailing white space. If a documented output starts with "...", only the end of stdout
// and stderr is compared.
func TestDocs_OutputsMatchDemo(t *testing.T) {
	t.Chdir("../../..")
	type example struct{ command, output string }
	var examples []example
	demoBlock := regexp.MustCompile("(?s)```text\n\\$ nomadctld demo ([^\n]*)\n(.*?)```")
	for _, block := range demoBlock.FindAllStringSubmatch(testenv.ReadFile(t, "docs/outputs.md"), -1) {
		examples = append(examples, example{block[1], block[2]})
	}
	if len(examples) < 8 {
		t.Fatalf("only %d outputs", len(examples))
	}
	var used []string
	for _, block := range sshBlockPattern.FindAllStringSubmatch(testenv.ReadFile(t, "README.md"), -1) {
		commands, outputs := parseTranscript(block[1])
		for i, command := range commands {
			if name, _, _ := strings.Cut(command, " "); name != "can-i" { // see TestReadme_AccessExample
				used = append(used, name)
				examples = append(examples, example{command, outputs[i]})
			}
		}
	}
	if want := []string{"ps", "logs", "exec", "restart"}; !slices.Equal(used, want) {
		t.Errorf("README.md shows %q, want %q", used, want)
	}
	d, err := demo.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	dates := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|(?m) +$`)
	for _, e := range examples {
		var stdout, stderr bytes.Buffer
		words, err := shlex.Split(e.command)
		if err != nil {
			t.Fatal(err)
		}
		got, want := "", dates.ReplaceAllString(e.output, "")
		want, short := strings.CutPrefix(want, "...\n")
		for try := 0; got != want && try < 5; try++ { // a value may be missing while the machine is busy
			stdout.Reset()
			stderr.Reset()
			if _, err := d.Run(t.Context(), words, strings.NewReader(""), &stdout, &stderr); err != nil {
				t.Fatal(err)
			}
			got = dates.ReplaceAllString(stdout.String(), "")
			if all := got + stderr.String(); short && strings.HasSuffix(all, "\n"+want) {
				got = want
			}
		}
		if got != want {
			t.Errorf("%s printed\n%s%swant, as documented,\n%s", e.command, got, stderr.String(), want)
		}
	}
}

func TestReadme_MaxWords(t *testing.T) {
	t.Chdir("../../..")
	const maxWords = 900
	if n := len(strings.Fields(testenv.ReadFile(t, "README.md"))); n > maxWords {
		t.Errorf("README.md has %d words, want at most %d: move text to docs", n, maxWords)
	}
}

// TestDocs_Links checks that the target and the heading of each relative link exist.
func TestDocs_Links(t *testing.T) {
	t.Chdir("../../..")
	found := 0
	for _, file := range documentFiles(t) {
		for _, link := range brokenLinks(t, file, testenv.ReadFile(t, file), &found) {
			t.Errorf("%s: %s", file, link)
		}
	}
	if found == 0 {
		t.Error("found no link, so the test cannot fail")
	}
	if broken := brokenLinks(t, "README.md", "[a](no/such.md) [b](docs/exec.md#no-such) [c](docs/exec.md#disconnects)",
		&found); len(broken) != 2 {
		t.Errorf("got %q, want the first two", broken)
	}
}

var (
	relativeLinkPattern = regexp.MustCompile(`\]\(([^):#]*)(#[^)]*)?\)`)
	headingPattern      = regexp.MustCompile(`(?m)^#+ (.*)$`)
	anchorPattern       = regexp.MustCompile("[^a-z0-9 _-]")
)

// brokenLinks returns the broken relative links of a document, and adds the number of links to found.
func brokenLinks(t *testing.T, file, text string, found *int) (broken []string) {
	t.Helper()
	for _, link := range relativeLinkPattern.FindAllStringSubmatch(text, -1) {
		*found++
		target := file
		if link[1] != "" {
			target = filepath.Join(filepath.Dir(file), link[1])
		}
		if _, err := os.Stat(target); err != nil {
			broken = append(broken, fmt.Sprintf("%s does not exist", link[1]))
			continue
		}
		if link[2] == "" {
			continue
		}
		var anchors []string
		for _, h := range headingPattern.FindAllStringSubmatch(testenv.ReadFile(t, target), -1) {
			anchors = append(anchors, "#"+strings.ReplaceAll(anchorPattern.ReplaceAllString(strings.ToLower(h[1]), ""),
				" ", "-"))
		}
		if !slices.Contains(anchors, link[2]) {
			broken = append(broken, fmt.Sprintf("%s has no heading %s", target, link[2]))
		}
	}
	return broken
}
