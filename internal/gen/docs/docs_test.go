package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"nomadctld/router"
)

func TestGeneratedFiles_Current(t *testing.T) {
	t.Chdir("../../..")
	for _, file := range files {
		got, err := os.ReadFile(file.name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := file.generate(string(got))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is out of date: run make generate", file.name)
		}
		const empty = "<!-- rights: written by make generate -->\n<!-- end of rights -->\n" +
			"# commands: written by make generate\n# end of commands\n"
		if updated, err := file.generate(empty); err != nil || updated == empty {
			t.Errorf("%s: an outdated text passes: %v", file.name, err)
		}
	}
}

func TestAccessDoc_MissingMarks(t *testing.T) {
	if _, err := accessDoc("no marks"); err == nil {
		t.Error("got no error")
	}
}

func TestNomadctlScript_MissingMarks(t *testing.T) {
	if _, err := nomadctlScript("no marks"); err == nil {
		t.Error("got no error")
	}
}

func TestHiddenCommands_NotDocumented(t *testing.T) {
	hidden := slices.DeleteFunc(router.Specs(), func(s router.Spec) bool { return !s.Hidden })
	if len(hidden) == 0 {
		t.Fatal("found no hidden command: this test cannot fail")
	}
	t.Chdir("../../..")
	for _, file := range files {
		before, err := os.ReadFile(file.name)
		if err != nil {
			t.Fatal(err)
		}
		after, err := file.generate(string(before))
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range hidden {
			if strings.Contains(after, spec.Short) {
				t.Errorf("%s explains the hidden command %s", file.name, spec.Name)
			}
		}
	}
}

// TestManPages_ShellBlocksMarked checks every block except examples and flags: a comment states why it is not run.
func TestManPages_ShellBlocksMarked(t *testing.T) {
	t.Chdir("../../..")
	found := 0
	for _, page := range []string{"docs/man/nomadctl.1", "docs/man/nomadctld.8"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		before := ""
		for block := range strings.SplitSeq(string(text), ".nf\n") {
			if before != "" && !strings.HasPrefix(block, "  ") {
				found++
				if !strings.Contains(before[strings.LastIndex(before[:len(before)-1], "\n"):], `\" not run: `) {
					t.Errorf("%s: %.60q is neither run nor marked", page, block)
				}
			}
			before = block
		}
	}
	if found == 0 {
		t.Error("found no block: this test cannot fail")
	}
}

// TestManPages_WellFormed runs mandoc and groff, if they are installed.
func TestManPages_WellFormed(t *testing.T) {
	t.Chdir("../../..")
	checks := [][]string{{"mandoc", "-Tlint", "-W", "warning"}, {"groff", "-man", "-ww", "-Tutf8", "-z"}}
	for _, check := range checks {
		if _, err := exec.LookPath(check[0]); err != nil {
			t.Logf("not checked with %s: apt-get install %[1]s", check[0])
			continue
		}
		for _, page := range []string{"docs/man/nomadctl.1", "docs/man/nomadctld.8"} {
			if out, err := exec.Command(check[0], append(check[1:], page)...).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s %s: %v\n%s", check[0], page, err, out)
			}
		}
	}
}

func TestRoff_Escapes(t *testing.T) {
	if got, want := roff(`.a\b-c'd`), `\&.a\eb\-c\(aqd`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestReadme_NamesEveryCommand checks that README.md lists the commands in the groups and in the order of help.
func TestReadme_NamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Commands\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got, want []string
	for line := range strings.Lines(section) {
		if group, ok := strings.CutPrefix(line, "- **"); ok {
			group, _, _ = strings.Cut(group, "**")
			got = append(got, group+":")
			for _, quoted := range backquoted.FindAllStringSubmatch(line, -1) {
				got = append(got, quoted[2])
			}
		}
	}
	for _, group := range router.Groups {
		want = append(want, string(group)+":")
		for _, spec := range router.SpecsInGroup(router.Specs(), group) {
			want = append(want, spec.Name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("README.md lists\n%q, want\n%q", got, want)
	}
}
