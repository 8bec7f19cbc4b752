package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestDeveloperDocs_NamesExist checks the Go names and the source files that the documents for developers mention.
func TestDeveloperDocs_NamesExist(t *testing.T) {
	t.Chdir("../../..")
	names, files := declared(t)
	for _, file := range []string{"ARCHITECTURE.md", "CONTRIBUTING.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		missing, checked := missingNames(string(text), names, files)
		for _, name := range missing {
			t.Errorf("%s mentions %s, which does not exist", file, name)
		}
		if checked < 5 {
			t.Errorf("%s: found only %d names: the pattern of this test may be broken", file, checked)
		}
	}
	missing, _ := missingNames("`router.Nothing()` and **noMiddleware** in router/none.go (none.sh)", names, files)
	if len(missing) != 4 {
		t.Errorf("got %q, want all four names", missing)
	}
}

var (
	goName     = regexp.MustCompile("[`*](?:[a-zA-Z]+\\.)*([a-zA-Z]*[a-z][A-Z][a-zA-Z]*|(?:[a-z]+\\.)[A-Z][a-zA-Z]+)(?:\\(\\))?[`*]")
	sourceFile = regexp.MustCompile(`[\w/.-]+\.(?:go|sh)\b`)
)

// missingNames returns the names in a document that are not declared or not files, and counts all names.
func missingNames(text string, names, files map[string]bool) (missing []string, checked int) {
	for _, found := range goName.FindAllStringSubmatch(text, -1) {
		checked++
		if name := found[1][strings.LastIndex(found[1], ".")+1:]; !names[name] {
			missing = append(missing, found[0])
		}
	}
	for _, file := range sourceFile.FindAllString(text, -1) {
		checked++
		if !files[file] && file != "commands/NAME.go" {
			missing = append(missing, file)
		}
	}
	return missing, checked
}

// declared returns all names that the project declares, and its files by path and by base name.
func declared(t *testing.T) (names, files map[string]bool) {
	t.Helper()
	names, files = map[string]bool{}, map[string]bool{}
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files[file], files[path.Base(file)] = true, true
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				names[n.Name.Name] = true
			case *ast.TypeSpec:
				names[n.Name.Name] = true
			case *ast.ValueSpec:
				for _, name := range n.Names {
					names[name.Name] = true
				}
			case *ast.Field:
				for _, name := range n.Names {
					names[name.Name] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, files
}

// TestArchitecture_ListsPackages checks that the table of packages has exactly the packages that exist.
func TestArchitecture_ListsPackages(t *testing.T) {
	t.Chdir("../../..")
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([\w./]+) \|`).FindAllStringSubmatch(string(text), -1) {
		listed[row[1]] = true
		if _, err := os.Stat(row[1]); err != nil && row[1] != "package" {
			t.Errorf("ARCHITECTURE.md lists %s, which does not exist", row[1])
		}
	}
	_, files := declared(t)
	for file := range files {
		dir := path.Dir(file)
		if strings.HasSuffix(file, ".go") && dir != "." && !listed[dir] {
			t.Errorf("ARCHITECTURE.md does not list %s, the package of %s", dir, file)
		}
	}
}
