// Command docs writes what the documentation says about commands from the commands themselves: docs/commands.md
// and the table in README.md. make generate runs it; its test fails where a file is not what it would write.
package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	_ "nomadctld/commands"
	"nomadctld/router"
)

func main() {
	for _, file := range files {
		before, err := os.ReadFile(file.name)
		if err != nil && !os.IsNotExist(err) {
			exit(err)
		}
		after, err := file.write(string(before))
		if err != nil {
			exit(fmt.Errorf("%s: %w", file.name, err))
		}
		if err := os.WriteFile(file.name, []byte(after), 0o644); err != nil {
			exit(err)
		}
	}
}

func exit(err error) {
	fmt.Fprintln(os.Stderr, "docs:", err)
	os.Exit(1)
}

// files are the generated files, by their names from the project's root. write turns a file's text into what it
// should be.
var files = []struct {
	name  string
	write func(before string) (string, error)
}{
	{"docs/commands.md", func(string) (string, error) { return reference(), nil }},
	{"README.md", readme},
}

const (
	begin = "<!-- commands: written by make generate -->\n"
	end   = "<!-- end of commands -->\n"
)

// readme puts the table of commands between its marks.
func readme(before string) (string, error) {
	head, rest, ok := strings.Cut(before, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("the marks around the table of commands are missing")
	}
	return head + begin + table() + end + tail, nil
}

func table() string {
	var b strings.Builder
	b.WriteString("| command | |\n| --- | --- |\n")
	for _, spec := range router.Specs() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.TrimSpace(spec.Name+" "+spec.Args), spec.Short)
	}
	return b.String()
}

// reference returns a section for each command with the text of its --help.
func reference() string {
	var b strings.Builder
	b.WriteString("# Commands\n\nWritten by `make generate` from the commands themselves.\n\n" + table())
	for _, spec := range router.Specs() {
		fmt.Fprintf(&b, "\n## %s\n\n```text\n%s```\n", spec.Name, spec.Help())
		if spec.JSON != nil {
			b.WriteString("\nThe fields of `--json`:\n\n| field | type | |\n| --- | --- | --- |\n")
			fields(&b, "", reflect.TypeOf(spec.JSON))
		}
	}
	return b.String()
}

// fields writes a row for each JSON field of the struct t and of the structs inside it.
func fields(b *strings.Builder, path string, t reflect.Type) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		kind, inner := describe(field.Type)
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", path, name, kind, field.Tag.Get("doc"))
		if inner != nil {
			fields(b, path+name+"[].", inner)
		}
	}
}

// describe returns what a Go type is in JSON, and the struct inside a list of structs.
func describe(t reflect.Type) (kind string, inner reflect.Type) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time", nil
	case t.Kind() == reflect.Pointer:
		kind, inner = describe(t.Elem())
		return kind + " or null", inner
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return "list", t.Elem()
	case t.Kind() == reflect.Slice:
		kind, _ = describe(t.Elem())
		return "list of " + kind + "s", nil
	case t.Kind() == reflect.String:
		return "string", nil
	case t.Kind() == reflect.Bool:
		return "boolean", nil
	}
	return "number", nil
}
