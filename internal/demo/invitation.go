package demo

import (
	"fmt"
	"strings"
)

// Invitation returns the lines to paste into another terminal.
func (d *Demo) Invitation() string {
	ssh := "ssh -F " + d.dir.Path("ssh_config")
	return fmt.Sprintf(`A gateway to three simulated clusters is listening on %s.
Paste into another terminal:

  %[2]s wim                    # what wim may do, who owns every job
  %[2]s wim ps                 # list jobs and tasks
  %[2]s wim ps mattermost      # those whose name contains mattermost
  %[2]s ann ps                 # what team 1 sees of the same clusters
  %[2]s wim ps --json | head   # the same for scripts

Ctrl-C ends the demo and removes its keys.
`, d.Address, ssh)
}

// Quote returns the words as one command line that the gateway splits into the same words.
func Quote(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}
