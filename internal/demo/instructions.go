package demo

import (
	"fmt"
	"strings"
)

// Instructions returns a line that makes ssh use the demo in another terminal, example commands, and what the demo does
// not simulate.
func (d *Demo) Instructions() string {
	return fmt.Sprintf(`A gateway to three simulated clusters is listening on %s.
Paste this line into another terminal:

  alias ssh='ssh -F %s'

There, the host gw is the gateway. All examples of the README work unchanged:

  ssh gw                       # what you may do; you are wim
  ssh gw ps                    # list jobs and tasks; wim owns all jobs
  ssh -t gw exec 45fed1138a    # a shell in a task: a process on this machine
  ssh -t gw tail p-team1-web   # the logs of all tasks of a job, until Ctrl-C
  ssh gw ps --json | head      # for scripts
  ssh ann ps                   # what team 1 sees of the same clusters

Other hosts keep the settings of your ~/.ssh/config. Not simulated: Docker (di,
attach, exec -u) and the nomad binary (raw).

Ctrl-C stops the demo and removes its keys.
`, d.Address, d.dir.Path("ssh_config"))
}

// quote joins words to a command line that the gateway splits into the same words.
func quote(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}
