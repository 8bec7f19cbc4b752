package demo

import (
	"fmt"
	"strings"
)

// Instructions returns example commands for another terminal.
func (d *Demo) Instructions() string {
	file := d.dir.Path("ssh_config")
	return fmt.Sprintf(`A gateway to three simulated clusters is listening on %s.
Paste into another terminal:

  ssh -F %[2]s wim                         # what wim may do (wim owns every job)
  ssh -F %[2]s wim ps                      # list jobs and tasks
  ssh -F %[2]s ann ps                      # what team 1 sees of the same clusters
  ssh -t -F %[2]s wim exec 45fed1138a      # a shell in a task: a process on this machine, as you
  ssh -t -F %[2]s ann tail p-team1-web     # the logs of all tasks of a job, until Ctrl-C
  ssh -F %[2]s wim ps --json | head        # for scripts

Ctrl-C ends the demo and removes its keys.
`, d.Address, file)
}

// quote joins words to a command line that the gateway splits into the same words.
func quote(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}
