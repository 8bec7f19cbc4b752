package main

import (
	"strings"

	"nomadctld/router"
)

// nomadctlScript replaces the block of the script nomadctl that lists the commands, and those that need a terminal.
func nomadctlScript(before string) (string, error) {
	var terminal []string
	for _, spec := range visibleCommands() {
		if spec.WantsTerminal {
			terminal = append(terminal, spec.Name)
		}
	}
	half := len(terminal) / 2
	text := "terminal_commands='" + strings.Join(terminal[:half], " ") + "'\n" +
		"terminal_commands=\"$terminal_commands " + strings.Join(terminal[half:], " ") + "\"\n\n" +
		"builtin_commands() {\n\tcat <<'EOF'\n" + router.CommandList(router.Specs()) + "EOF\n}\n"
	return replaceMarked(before, "commands", text, "# commands: written by make generate\n", "# end of commands\n")
}
