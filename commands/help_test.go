package commands

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"nomadctld/internal/cmdline"
	"nomadctld/router"
)

// The size of a screen, and the height of the help of one command.
const screenColumns, screenRows, helpRows = 80, 24, 40

// tooWide returns the lines of a text that are wider than a screen.
func tooWide(text string) (lines []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if utf8.RuneCountInString(line) > screenColumns {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestHelp_FitsScreen(t *testing.T) {
	for _, spec := range router.Specs() {
		help := spec.Help()
		if rows := strings.Count(help, "\n"); rows > helpRows {
			t.Errorf("%s: the help has %d lines, want at most %d", spec.Name, rows, helpRows)
		}
		for _, line := range tooWide(help) {
			t.Errorf("%s: wider than %d columns: %q", spec.Name, screenColumns, line)
		}
	}
	if len(tooWide("x\n"+strings.Repeat("x", screenColumns+1))) != 1 {
		t.Error("a line that is too wide passes")
	}
}

func TestHelp_FlagsHavePlaceholders(t *testing.T) {
	for _, spec := range router.Specs() {
		spec.FlagSet(new(router.Request)).VisitAll(func(f *pflag.Flag) {
			placeholder, text := router.FlagUsage(f)
			if (placeholder == "") != (f.Value.Type() == "bool") || text == "" || strings.Contains(text, "`") {
				t.Errorf("%s --%s: got placeholder %q and text %q", spec.Name, f.Name, placeholder, text)
			}
		})
	}
}

func TestOverview_FitsScreen(t *testing.T) {
	for name, prefixes := range map[string][]string{
		"few prefixes":  {"p-", "q-", "t-"},
		"many prefixes": strings.Fields(strings.Repeat("p-team-with-a-long-name- ", 20)),
	} {
		list := overview("Wim", prefixes, router.Specs())
		if rows := strings.Count(list, "\n") + 1; rows > screenRows { // one more for the shell's prompt
			t.Errorf("%s: %d rows with the prompt, want at most %d", name, rows, screenRows)
		}
		for _, line := range tooWide(list) {
			t.Errorf("%s: wider than %d columns: %q", name, screenColumns, line)
		}
	}
}

func TestOverview_ListsAllowedCommands(t *testing.T) {
	for _, spec := range router.Specs() {
		if got := strings.Contains(overview("Wim", nil, router.Specs()), "  "+spec.Name+" "); got == spec.Hidden {
			t.Errorf("%s: got listed %v, want %v", spec.Name, got, !spec.Hidden)
		}
	}
	want := `You are Ann. Your jobs start with: p-team1-
COMMAND --help shows flags and examples.

Look
  ps      List jobs and tasks
  status  Like nomad job status

Access
  help    List commands or explain one
`
	var allowed []router.Spec
	for _, spec := range router.Specs() {
		if spec.Name == "help" || spec.Name == "ps" || spec.Name == "status" {
			allowed = append(allowed, spec)
		}
	}
	if got := overview("Ann", []string{"p-team1-"}, allowed); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// parseExample parses a line as the router does.
func parseExample(spec router.Spec, line string) error {
	words, err := cmdline.Split(line)
	if err == nil {
		_, err = spec.Parse(new(router.Request), words[1:])
	}
	return err
}

func TestExamples_RouterAcceptsThem(t *testing.T) {
	for _, spec := range router.Specs() {
		if len(spec.Examples) == 0 {
			t.Errorf("%s has no examples", spec.Name)
		}
		for _, e := range spec.Examples {
			if name, _, _ := strings.Cut(e.Line, " "); name != spec.Name {
				t.Errorf("%s: %q is an example of another command", spec.Name, e.Line)
			}
			if err := parseExample(spec, e.Line); err != nil {
				t.Errorf("%q: %v", e.Line, err)
			}
		}
	}
	spec := new(ps).Spec()
	for _, wrong := range []string{"ps a b", "ps --nope", "ps 'a", "ps --watch=often"} {
		if err := parseExample(spec, wrong); err == nil {
			t.Errorf("%q passes", wrong)
		}
	}
}
