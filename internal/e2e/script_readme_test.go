package e2e

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nomadctld/internal/testenv"
)

// TestScriptReadme_ListsEverything checks that the README of the scripts lists exactly the commands, conditions and
// programs that are registered, each with an example that is a line of a script.
func TestScriptReadme_ListsEverything(t *testing.T) {
	var registered []string
	registered = slices.AppendSeq(registered, maps.Keys(scriptCommands))
	registered = slices.AppendSeq(registered, maps.Keys(scriptPrograms))
	for _, condition := range scriptConditions {
		registered = append(registered, "["+condition+"]")
	}
	scripts := scriptLines(t)
	for _, message := range readmeErrors(testenv.ReadFile(t, "../../testdata/script/README"), registered, scripts) {
		t.Error(message)
	}
	const wrong = "COMMANDS\n\na X\n\tExample: no line\nb\n\tWithout one.\nc\n\tExample: crash\n"
	if got := readmeErrors(wrong, []string{"a", "b", "d"}, scripts); len(got) != 5 {
		t.Errorf("got %q, want five messages", got)
	}
}

// scriptLines returns all lines of the scripts.
func scriptLines(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for _, file := range files {
		for line := range strings.Lines(testenv.ReadFile(t, file)) {
			lines[strings.TrimRight(line, "\n")] = true
		}
	}
	return lines
}

// readmeErrors compares the entries of a README with the names that are registered, and its examples with the lines of
// the scripts. An entry starts with a name at the start of a line, after the heading CONDITIONS or COMMANDS.
func readmeErrors(readme string, registered []string, scripts map[string]bool) (errs []string) {
	entries := regexp.MustCompile(`(?s)\b(CONDITIONS|COMMANDS)\n.*`).FindString(readme)
	hasExample := map[string]bool{}
	current := ""
	for line := range strings.Lines(entries) {
		line = strings.TrimRight(line, "\n")
		if example, ok := strings.CutPrefix(line, "\tExample: "); ok {
			hasExample[current] = true
			word := regexp.MustCompile(`(^|[ !(])` + regexp.QuoteMeta(current) + `($|[ )])`)
			if !scripts[example] || !word.MatchString(example) {
				errs = append(errs, fmt.Sprintf("%s: no script has its example: %s", current, example))
			}
		} else if line != "" && line[0] != '\t' && line != strings.ToUpper(line) {
			current, _, _ = strings.Cut(line, " ")
			hasExample[current] = hasExample[current] || false
		}
	}
	for _, name := range registered {
		if _, ok := hasExample[name]; !ok {
			errs = append(errs, fmt.Sprintf("%s is not in the README", name))
		}
	}
	for name, has := range hasExample {
		if !slices.Contains(registered, name) {
			errs = append(errs, fmt.Sprintf("%s is in the README, but not registered", name))
		}
		if !has {
			errs = append(errs, fmt.Sprintf("%s has no example", name))
		}
	}
	return errs
}
