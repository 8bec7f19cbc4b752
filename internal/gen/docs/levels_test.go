package main

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestLevels_E2EPackagesListed checks that E2E in the Makefile lists exactly the packages with tests that use real
// programs. A test that is skipped with -short runs in no level if its package is not in the list.
func TestLevels_E2EPackagesListed(t *testing.T) {
	t.Chdir("../../..")
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?s)\nE2E = (.*?[^\\])\n`).FindSubmatch(makefile)
	if match == nil {
		t.Fatal("the Makefile does not define E2E")
	}
	var listed []string
	for _, word := range strings.Fields(string(match[1])) {
		if dir, ok := strings.CutPrefix(word, "./"); ok {
			listed = append(listed, dir)
		}
	}
	using := packagesWith(t, os.DirFS("."), realProgram)
	using = slices.DeleteFunc(using, func(dir string) bool { return dir == "internal/release" }) // a level of its own
	if !slices.Equal(listed, using) {
		t.Errorf("the Makefile lists %q, but the tests of %q use real programs", listed, using)
	}
	planted := fstest.MapFS{
		"a/x_test.go": {Data: []byte("host := dockertest.Daemon(t)")},
		"b/x_test.go": {Data: []byte("host := dockertest.Label")},
		"c/x.go":      {Data: []byte("host := dockertest.Daemon(t)")},
	}
	if got := packagesWith(t, planted, realProgram); !slices.Equal(got, []string{"a"}) {
		t.Errorf("got %q, want a", got)
	}
}

// realProgram matches what starts or uses a real program in a test.
var realProgram = regexp.MustCompile(`\btestenv\.E2E\(|\bdockertest\.\w+\(t|\bnomadtest\.(Binary\(|Clusters\(t|Real\(t)|` +
	`\tfor .* range Clusters\(t\)|NOMADCTLD_TEST_NOMAD`)

// packagesWith returns the directories in which a file of tests has a match, sorted.
func packagesWith(t *testing.T, files fs.FS, pattern *regexp.Regexp) (dirs []string) {
	t.Helper()
	err := fs.WalkDir(files, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(files, file)
		if dir := path.Dir(file); err == nil && pattern.Match(text) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(dirs)
	return dirs
}
