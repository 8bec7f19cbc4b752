package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport lists the packages of this project that each package may import. Tests may import any package. A package
// that is not listed may import none.
//
// Most important: commands cannot import acl or a cluster client, so a command cannot decide permissions or bypass the
// scope.
var mayImport = importTable(`
.: internal/cli
acl: backends internal/authkeys internal/krl internal/loginname
backends/backendtest: backends
backends/docker: backends internal/dockerhost internal/procscript internal/safego
	internal/signals internal/terminate internal/tlsfiles
backends/nomad: backends internal/metrics internal/procscript internal/safego
	internal/signals internal/terminate internal/tlsfiles
commands: backends internal/childjobs internal/cmdline internal/completion
	internal/console internal/escape internal/jobrelease internal/monitor internal/ops
	internal/parse internal/pattern internal/phrase internal/render internal/restart
	internal/safego internal/suggest internal/tasklog internal/jobstate router
config: internal/authkeys internal/cmdline internal/dockerhost internal/krl
	internal/loginname internal/suggest internal/tlsfiles
internal/audit: internal/escape internal/linequeue internal/metrics
internal/childjobs: backends internal/monitor internal/phrase
internal/checkonline: backends/docker backends/nomad config internal/render
internal/cli: config internal/checkonline internal/demo internal/gateway internal/health
	internal/linequeue internal/render
internal/clusterview: backends internal/safego
internal/completion: backends internal/phrase
internal/console: backends internal/escape internal/render internal/safego
	internal/signals
internal/demo: config internal/gateway internal/nomadsim internal/nomadsim/jobspec
	internal/sshfiles router
internal/gateway: acl backends backends/docker backends/nomad commands config
	internal/audit internal/clusterview internal/health internal/metrics
	internal/nomadcli internal/ops internal/safego internal/sshd router
internal/gen/docs: commands config router
internal/gen/picture: internal/demo
internal/jobrelease: backends internal/ops internal/phrase
internal/jobstate: backends
internal/logjoin: backends
internal/logshare: backends internal/safego
internal/monitor: backends internal/phrase
internal/nomadcli: internal/terminate
internal/nomadsim: internal/nomadsim/agent internal/nomadsim/jobspec
	internal/nomadsim/scheduler internal/nomadsim/store internal/nomadsim/wire
internal/nomadsim/agent: internal/nomadsim/jobspec internal/nomadsim/store
internal/nomadsim/scheduler: internal/nomadsim/jobspec internal/nomadsim/store
internal/nomadsim/store: internal/nomadsim/jobspec
internal/ops: backends
internal/phrase: backends
internal/prose: commands router
internal/render: internal/escape
internal/restart: backends internal/escape internal/jobrelease internal/monitor
	internal/ops internal/phrase internal/safego
internal/sshd: acl internal/audit internal/authkeys internal/console internal/escape
	internal/metrics internal/signals router
internal/tasklog: backends internal/console internal/escape internal/jobstate
	internal/phrase internal/render internal/safego
internal/testenv/dockertest: internal/nomadsim internal/testenv
internal/testenv/gatewaytest: config internal/audit internal/gateway internal/sshfiles
	internal/testenv internal/testenv/nomadtest
internal/testenv/nomadtest: internal/nomadsim internal/nomadsim/jobspec internal/testenv
router: acl backends internal/audit internal/clusterview internal/cmdline
	internal/console internal/escape internal/jobstate internal/logjoin internal/logshare
	internal/mask internal/metrics internal/nomadcli internal/ops internal/phrase internal/safego internal/suggest
`)

// importTable parses lines such as "config: internal/suggest": a package, a colon and the packages that it may import.
// A list may continue on the next line.
func importTable(text string) map[string][]string {
	table := map[string][]string{}
	from := ""
	for _, word := range strings.Fields(text) {
		if name, isName := strings.CutSuffix(word, ":"); isName {
			from = name
		} else {
			table[from] = append(table[from], word)
		}
	}
	return table
}

// onlyIn lists the packages that may import a library.
var onlyIn = map[string][]string{
	"github.com/prometheus/client_golang/prometheus": {"internal/metrics"},
	"github.com/fsouza/go-dockerclient":              {"backends/docker", "internal/testenv/dockertest"},
	"github.com/gliderlabs/ssh":                      {"internal/sshd"},
	"github.com/hashicorp/nomad/api": {
		"backends/nomad", "internal/nomadsim/jobspec", "internal/testenv/nomadtest",
	},
}

func TestImports_OnlyAllowed(t *testing.T) {
	for _, message := range importErrors(t, os.DirFS("../../.."), mayImport) {
		t.Error(message)
	}
}

func TestImports_FindsForbidden(t *testing.T) {
	strict := map[string][]string{}
	for _, want := range []string{"commands imports nomadctld/router", "internal/sshd imports nomadctld/acl"} {
		if !slices.ContainsFunc(importErrors(t, os.DirFS("../../.."), strict),
			func(f string) bool { return strings.HasPrefix(f, want) }) {
			t.Errorf("with nothing allowed: no error %q", want)
		}
	}
	if len(importErrors(t, importFixture(t, "commands/evil.go", `package commands; import "nomadctld/backends/nomad"`),
		mayImport)) != 1 {
		t.Error("an import of backends/nomad in commands was accepted")
	}
	if len(importErrors(t, importFixture(t, "router/evil.go", `package router; import "github.com/gliderlabs/ssh"`),
		mayImport)) != 1 {
		t.Error("an import of gliderlabs/ssh in router was accepted")
	}
}

func importErrors(t *testing.T, files fs.FS, allowed map[string][]string) (found []string) {
	t.Helper()
	err := fs.WalkDir(files, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		dir := path.Dir(file)
		source, err := fs.ReadFile(files, file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			own, isOwn := strings.CutPrefix(imported, "nomadctld/")
			if isOwn && !slices.Contains(allowed[dir], own) {
				found = append(found, dir+" imports "+imported+" in "+file)
			}
			if packages := onlyIn[imported]; packages != nil && !slices.Contains(packages, dir) {
				found = append(found, dir+" imports "+imported+" in "+file)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func importFixture(t *testing.T, name, text string) fs.FS {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return os.DirFS(dir)
}
