package router

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// maxColumns is the width of the lines of help.
const maxColumns = 80

// Group is the heading under which help lists a command.
type Group string

// The zero Group is invalid, except for hidden commands.
const (
	GroupLook        Group = "Look"
	GroupLogs        Group = "Logs and exec"
	GroupChange      Group = "Change"
	GroupDeployments Group = "Deployments"
	GroupAccess      Group = "Access"
)

// Groups are the groups in the order in which documents list them.
var Groups = []Group{GroupLook, GroupLogs, GroupChange, GroupDeployments, GroupAccess}

// Example is a command line, with a short comment that may be empty.
type Example struct{ Line, Comment string }

// Usage returns the usage line: name, flags and arguments. An argument that has several forms has them in parentheses,
// unless it is the only one.
func (s Spec) Usage() string {
	words := []string{s.Name}
	if s.FlagUsages() != "" {
		words = append(words, "[flags]")
	}
	args := strings.Fields(s.Args)
	for _, arg := range args {
		forms := strings.ReplaceAll(arg, "|", " | ")
		if forms != arg && len(args) > 1 {
			forms = "(" + forms + ")"
		}
		words = append(words, forms)
	}
	return strings.Join(words, " ")
}

// Description returns the text of --help between the usage line and the examples. Paragraphs are wrapped, except those
// with an indented line.
func (s Spec) Description() string {
	paragraphs := strings.Split(strings.TrimSpace(cmp.Or(s.Long, s.Short+".")), "\n\n")
	for i, p := range paragraphs {
		if !strings.Contains("\n"+p, "\n ") {
			paragraphs[i] = strings.Join(wrap(p, maxColumns), "\n")
		}
	}
	return strings.Join(paragraphs, "\n\n") + "\n"
}

// Help returns the text of --help.
func (s Spec) Help() string {
	var b strings.Builder
	b.WriteString("Usage: " + s.Usage() + "\n\n" + s.Description())
	if examples := s.ExampleLines(); examples != "" {
		b.WriteString("\nExamples:\n" + examples)
	}
	if flags := s.FlagUsages(); flags != "" {
		b.WriteString("\nFlags:\n" + flags)
	}
	return b.String()
}

// ExampleLines returns the lines of --help with the examples.
func (s Spec) ExampleLines() string {
	var rows [][2]string
	for _, e := range s.Examples {
		rows = append(rows, [2]string{e.Line, e.Comment})
	}
	return aligned(rows)
}

// FlagUsages returns the lines of --help with the flags, in the order of their declaration, without --help itself.
func (s Spec) FlagUsages() string {
	var rows [][2]string
	s.FlagSet(new(Request)).VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		value, text := FlagUsage(f)
		switch {
		case value == "":
		case f.NoOptDefVal != "":
			name += " [" + value + "]"
		default:
			name += " " + value
		}
		rows = append(rows, [2]string{name, text})
	})
	return aligned(rows)
}

// FlagUsage returns the placeholder for the value of a flag, and the text about the flag with its default. The usage of
// a flag that takes a value starts with the placeholder, in backquotes.
func FlagUsage(f *pflag.Flag) (placeholder, text string) {
	rest, ok := strings.CutPrefix(f.Usage, "`")
	if !ok {
		return "", f.Usage
	}
	placeholder, text, _ = strings.Cut(rest, "` ")
	value := f.DefValue
	if minutes, ok := strings.CutSuffix(value, "m0s"); ok {
		value = minutes + "m"
	}
	if f.NoOptDefVal != "" {
		value = f.NoOptDefVal
	}
	if !slices.Contains([]string{"", "0", "0s", "[]"}, value) {
		text += " (default " + value + ")"
	}
	return placeholder, text
}

// aligned returns indented lines of two aligned columns. Long text is wrapped in the second column.
func aligned(rows [][2]string) string {
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	var b strings.Builder
	for _, row := range rows {
		first := row[0]
		for _, line := range wrap(row[1], maxColumns-width-4) {
			b.WriteString(strings.TrimRight(fmt.Sprintf("  %-*s  %s", width, first, line), " ") + "\n")
			first = ""
		}
	}
	return b.String()
}

// wrap cuts text at spaces into lines that are at most width columns wide, if its words allow it.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	return append(lines, line)
}

// CommandList returns the list of commands by group, in two columns. With all commands it has 20 lines of 80 columns,
// so that it fits a screen.
func CommandList(specs []Spec) string {
	look, logs, access := SpecsInGroup(specs, GroupLook), SpecsInGroup(specs, GroupLogs), SpecsInGroup(specs, GroupAccess)
	change, deployments := SpecsInGroup(specs, GroupChange), SpecsInGroup(specs, GroupDeployments)
	half := (len(access) + 1) / 2
	leftWidth, rightWidth := nameWidth(look, logs, access[:half]), nameWidth(change, deployments, access[half:])
	left := append(block(GroupLook, look, leftWidth), block(GroupLogs, logs, leftWidth)...)
	right := append(block(GroupChange, change, rightWidth), block(GroupDeployments, deployments, rightWidth)...)
	for len(left) < len(right) {
		left = append(left, "")
	}
	for len(right) < len(left) {
		right = append(right, "")
	}
	left = append(left, block(GroupAccess, access[:half], leftWidth)...)
	right = append(right, block("", access[half:], rightWidth)...)
	var b strings.Builder
	for i, line := range left {
		if i < len(right) {
			line = fmt.Sprintf("%-*s%s", maxColumns/2, line, right[i])
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// nameWidth returns the width of the longest name.
func nameWidth(groups ...[]Spec) (width int) {
	for _, s := range slices.Concat(groups...) {
		width = max(width, len(s.Name))
	}
	return width
}

// block returns a group's heading, a line for each of its commands, and an empty line. It is empty without commands.
func block(group Group, specs []Spec, width int) (lines []string) {
	if len(specs) == 0 {
		return nil
	}
	lines = append(lines, string(group))
	for _, s := range specs {
		lines = append(lines, fmt.Sprintf("  %-*s  %s", width, s.Name, s.Short))
	}
	return append(lines, "")
}

// SpecsInGroup returns the commands of a group in the order in which help lists them.
func SpecsInGroup(specs []Spec, group Group) []Spec {
	specs = slices.DeleteFunc(slices.Clone(specs), func(s Spec) bool { return s.Group != group || s.Hidden })
	slices.SortStableFunc(specs, func(a, b Spec) int { return cmp.Compare(a.Rank, b.Rank) })
	return specs
}
