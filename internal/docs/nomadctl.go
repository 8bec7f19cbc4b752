package main

import (
	"fmt"
	"strings"
)

// client puts between the marks in the script nomadctl which commands there are and which of them want a terminal.
func client(before string) (string, error) {
	var terminal []string
	var list strings.Builder
	width := 0
	for _, spec := range shown() {
		width = max(width, len(spec.Name+" "+spec.Args))
	}
	for _, spec := range shown() {
		if spec.WantsTerminal {
			terminal = append(terminal, spec.Name)
		}
		fmt.Fprintf(&list, "  %-*s  %s\n", width, spec.Name+" "+spec.Args, spec.Short)
	}
	text := "terminal_commands='" + strings.Join(terminal, " ") + "'\n\n" +
		"command_list() {\n\tcat <<'EOF'\n" + list.String() + "EOF\n}\n"
	return marked(before, "commands", text, "# commands: written by make generate\n", "# end of commands\n")
}
