package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"nomadctld/internal/testenv"
	"nomadctld/router"
)

// TestProject_NoFindings checks the whole project. There are no exceptions. If it fails, rewrite the text, or make the
// entry of phrases.txt more precise.
func TestProject_NoFindings(t *testing.T) {
	testenv.NoRace(t, "has one goroutine, and takes a minute")
	found, err := checkProject(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// TestPhrases checks each entry of phrases.txt against its own examples.
func TestPhrases(t *testing.T) {
	list, err := phrases()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 30 {
		t.Errorf("got %d phrases, want at least 30", len(list))
	}
	for _, p := range list {
		if p.instead == "" || len(p.bad) == 0 || len(p.good) == 0 {
			t.Errorf("%s: want the lines write, bad and good", p.avoid)
		}
		for _, example := range p.bad {
			if len(checkExample(example, []phrase{p})) == 0 {
				t.Errorf("%s does not find %q", p.avoid, example)
			}
		}
		for _, example := range p.good {
			for _, f := range checkExample(example, list) {
				t.Errorf("a good example: %q has %s", example, f)
			}
		}
	}
}

func checkExample(example string, list []phrase) []finding {
	var t text
	t.add(example, 1)
	return t.check("example", list)
}

// TestCheckFile_Sources plants a phrase in each kind of source.
func TestCheckFile_Sources(t *testing.T) {
	long := "x := 1" + strings.Repeat(" + 1234567", 12)
	cases := []struct {
		file, source string
		line         int // of the finding; 0: there is none
	}{
		{"README.md", "# Title\n\nIt goes\non.\n", 4},
		{"README.md", "# Title\n\nUse `goes on` not.\n", 0},
		{"README.md", "# Title\n\n```text\nIt goes on.\n```\n", 4},
		{"docs/man/x.1", ".SH NAME\n.B nomadctl\ngoes on\n", 3},
		{"a.go", "// Package a goes on.\npackage a\n", 1},
		{"a.go", "package a\n\n// It goes\n// on.\nvar x int\n", 4},
		{"a.go", "package a\n\n/* It\n   goes on. */\nvar x int\n", 4},
		{"a.go", "package a\n\nvar x = \"it goes on\"\n", 3},
		{"a.go", "package a\n\nvar x = `\nit goes on\n`\n", 4},
		{"a.go", "package a\n\nvar x = \"it goes \" +\n\t\"on\"\n", 4},
		{"a.go", "package a\n\nvar goesOn = 1\n", 3},
		{"a.go", "package a\n\nfunc (T) goesOn(anew int) {}\n", 3},
		{"a.go", "package a\n\ntype T struct {\n\tmeanwhile int\n}\n", 4},
		{"a.go", "package a\n\nfunc f() {\n\t" + long + "\n}\n", 4},
		{"a.go", "package a\n\ntype T struct {\n\tX int `json:\"began\" doc:\"when\"`\n}\n", 0},
		{"a.go", "package a\n\ntype T struct {\n\tX int `json:\"x\" doc:\"it goes on\"`\n}\n", 4},
		{"a_test.go", "package a\n\nvar x = \"it goes on\" // a message of Nomad\n", 0},
		{"a_test.go", "package a\n\n// It goes on.\nvar x int\n", 3},
		{"a_test.go", "package a\n\nfunc TestAJob_GoesOn() {}\n", 3},
		{"a.sh", "#!/bin/sh\n# It goes\n# on.\n", 3},
		{"nomadctl", "#!/bin/sh\necho 'it goes on'\n", 2},
		{"Makefile", "a: ## it goes on\n", 1},
		{"a.toml", "key = 1 # it goes on\n", 1},
		{"a.toml", "key = \"" + strings.Repeat("A", 200) + "\"\n", 0},
		{"a.txtar", "# It goes on.\nexec x\n-- file --\n", 1},
		{"a.txtar", "exec x\n-- file --\n# It goes on.\n", 0},
		{"a.json", "it goes on", 0},
	}
	list, err := phrases()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		found, err := checkFile(c.file, c.source, list)
		switch {
		case err != nil:
			t.Errorf("%s: %q: %v", c.file, c.source, err)
		case c.line == 0 && len(found) > 0:
			t.Errorf("%s: %q: got %s, want none", c.file, c.source, found[0])
		case c.line > 0 && (len(found) == 0 || found[0].line != c.line || found[0].file != c.file):
			t.Errorf("%s: %q: got %v, want one in line %d", c.file, c.source, found, c.line)
		}
	}
}

func TestCheckHelp(t *testing.T) {
	list, err := phrases()
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []router.Spec{
		{Name: "x", Short: "Show it anew"},
		{Name: "x", Long: "It goes\non."},
		{Name: "x", Examples: []router.Example{{Line: "x", Comment: "it goes on"}}},
	} {
		if found := checkHelp(spec, list); len(found) == 0 {
			t.Errorf("%+v: got none, want a finding", spec)
		}
	}
}

// TestCheckProject_Folders checks which folders are read.
func TestCheckProject_Folders(t *testing.T) {
	planted := &fstest.MapFile{Data: []byte("It goes on.\n")}
	found, err := checkProject(fstest.MapFS{
		"README.md": planted, "docs/deep/er.md": planted, "dist/x.md": planted, ".git/x.md": planted,
	})
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, f := range found {
		if !strings.HasPrefix(f.file, "help of ") {
			files = append(files, f.file)
		}
	}
	if want := []string{"README.md", "docs/deep/er.md"}; !slices.Equal(files, want) {
		t.Errorf("got findings in %q, want %q", files, want)
	}
}
