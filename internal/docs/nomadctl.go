package main

import (
	"fmt"
	"strings"
)

// nomadctlScript puts between the marks in the script nomadctl which commands there are and which of them want a terminal.
func nomadctlScript(before string) (string, error) {
	var terminal []string
	var list strings.Builder
	width := 0
	for _, spec := range visibleCommands() {
		width = max(width, len(spec.Name+" "+spec.Args))
	}
	for _, spec := range visibleCommands() {
		if spec.WantsTerminal {
			terminal = append(terminal, spec.Name)
		}
		fmt.Fprintf(&list, "  %-*s  %s\n", width, spec.Name+" "+spec.Args, spec.Short)
	}
	text := "terminal_commands='" + strings.Join(terminal, " ") + "'\n\n" +
		"command_list() {\n\tcat <<'EOF'\n" + list.String() + "EOF\n}\n"
	return replaceMarked(before, "commands", text, "# commands: written by make generate\n", "# end of commands\n")
}
