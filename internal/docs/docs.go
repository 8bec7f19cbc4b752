// Command docs writes what the documentation says about commands and settings from those themselves: docs/commands.md,
// docs/config.md, the example in deploy, the table of rights in docs/access.md, the manual pages, and what the script
// nomadctl knows of the commands. make generate runs it; its test fails where a file is not what it would write.
package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	_ "nomadctld/commands"
	"nomadctld/config"
	"nomadctld/router"
)

func main() {
	for _, file := range files {
		before, err := os.ReadFile(file.name)
		if err != nil && !os.IsNotExist(err) {
			fatal(err)
		}
		after, err := file.write(string(before))
		if err != nil {
			fatal(fmt.Errorf("%s: %w", file.name, err))
		}
		if err := os.WriteFile(file.name, []byte(after), 0o644); err != nil {
			fatal(err)
		}
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "docs:", err)
	os.Exit(1)
}

// files are the generated files, by their names from the project's root. write turns a file's text into what it
// should be.
var files = []struct {
	name  string
	write func(before string) (string, error)
}{
	{"docs/commands.md", func(string) (string, error) { return commandReference(), nil }},
	{"docs/config.md", func(string) (string, error) { return configReference(), nil }},
	{"deploy/nomadctld.toml", func(string) (string, error) { return config.Example(), nil }},
	{"docs/access.md", accessDoc},
	{"nomadctl", nomadctlScript},
	{"docs/man/nomadctl.1", func(string) (string, error) { return clientPage(), nil }},
	{"docs/man/nomadctld.8", func(string) (string, error) { return serverPage(), nil }},
}

// visibleCommands returns the commands that are for people.
func visibleCommands() []router.Spec {
	return slices.DeleteFunc(router.Specs(), func(s router.Spec) bool { return s.Hidden })
}

// configReference returns a table for each section of the configuration.
func configReference() string {
	var b strings.Builder
	b.WriteString("# Configuration\n\nWritten by `make generate` from what the gateway knows of its settings. deploy/nomadctld.toml holds the same as a file.\n")
	for _, s := range config.Reference {
		fmt.Fprintf(&b, "\n## [%s]\n\n", s.Table)
		if s.About != "" {
			b.WriteString(s.About + "\n\n")
		}
		b.WriteString("| setting | |\n| --- | --- |\n")
		for _, k := range s.Keys {
			fmt.Fprintf(&b, "| `%s` | %s |\n", k.Example, strings.ReplaceAll(k.About, "|", "\\|"))
		}
	}
	return b.String()
}

// accessDoc puts the table of rights between its marks.
func accessDoc(before string) (string, error) {
	return replaceMarked(before, "rights", rightsTable(), "<!-- rights: written by make generate -->\n", "<!-- end of rights -->\n")
}

// replaceMarked puts a text between two lines.
func replaceMarked(before, name, text, begin, end string) (string, error) {
	head, rest, ok := strings.Cut(before, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("the marks around the table of %s are missing", name)
	}
	return head + begin + text + end + tail, nil
}

// rightsTable returns a table of the sets and the rights in them.
func rightsTable() string {
	var b strings.Builder
	b.WriteString("| set | to | rights |\n| --- | --- | --- |\n")
	for _, s := range router.RightSets {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Set, s.About, strings.Join(router.ExpandGrants([]string{string(s.Set)}), ", "))
	}
	return b.String()
}

func commandTable() string {
	var b strings.Builder
	b.WriteString("| command | |\n| --- | --- |\n")
	for _, spec := range visibleCommands() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.TrimSpace(spec.Name+" "+spec.Args), spec.Short)
	}
	return b.String()
}

// commandReference returns a section for each command with the text of its --help.
func commandReference() string {
	var b strings.Builder
	b.WriteString("# Commands\n\nWritten by `make generate` from the commands themselves.\n\n" + commandTable() + "\n## Rights\n\n" + rightsTable())
	for _, spec := range visibleCommands() {
		fmt.Fprintf(&b, "\n## %s\n\n```text\n%s```\n", spec.Name, spec.Help())
		if spec.JSON != nil {
			b.WriteString("\nThe fields of `--json`:\n\n| field | type | |\n| --- | --- | --- |\n")
			writeFields(&b, "", reflect.TypeOf(spec.JSON))
		}
	}
	return b.String()
}

// writeFields writes a row for each JSON field of the struct t and of the structs inside it.
func writeFields(b *strings.Builder, path string, t reflect.Type) {
	for i := range t.NumField() {
		field := t.Field(i)
		if !field.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		kind, inner, below := describeType(field.Type)
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", path, name, kind, field.Tag.Get("doc"))
		if inner != nil {
			writeFields(b, path+name+below, inner)
		}
	}
}

// describeType returns what a Go type is in JSON, and the struct inside it with how its fields are written below it.
func describeType(t reflect.Type) (kind string, inner reflect.Type, below string) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time", nil, ""
	case t.Kind() == reflect.Pointer:
		kind, inner, below = describeType(t.Elem())
		return kind + " or null", inner, below
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return "list", t.Elem(), "[]."
	case t.Kind() == reflect.Slice:
		kind, _, _ = describeType(t.Elem())
		return "list of " + kind + "s", nil, ""
	case t.Kind() == reflect.Map:
		kind, _, _ = describeType(t.Elem())
		return "object of " + kind + "s", nil, ""
	case t.Kind() == reflect.Struct:
		return "object", t, "."
	case t.Kind() == reflect.String:
		return "string", nil, ""
	case t.Kind() == reflect.Bool:
		return "boolean", nil, ""
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64:
		return "number", nil, ""
	}
	panic("a field of --json is of a kind that is not described: " + t.String())
}
