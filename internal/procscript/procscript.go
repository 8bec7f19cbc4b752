// Package procscript has shell functions with which a script finds the processes of a task in /proc. The scripts that
// run in tasks through Docker and through Nomad share them.
package procscript

import (
	_ "embed"
	"strings"
)

//go:embed proc.sh
var functions string

// With returns a script that starts with the functions of proc.sh. Lines that have only a comment are left out, because
// Nomad gets the script in the URL of a request.
func With(script string) string {
	var b strings.Builder
	for line := range strings.Lines(functions + script) {
		if text := strings.TrimSpace(line); text != "" && text[0] != '#' {
			b.WriteString(line)
		}
	}
	return b.String()
}
