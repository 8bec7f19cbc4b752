package commands

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"nomadctld/router"
)

// otherCommands are the commands of docker 29 and nomad 2.0, and those that users of ssh try first.
const otherCommands = `
run exec ps build pull push images login logout search version info builder container context image manifest network
plugin system trust volume config node secret service stack swarm attach commit cp create diff events export history
import inspect kill load logs pause port rename restart rm rmi save start stats stop tag top unpause update wait compose

stop status alloc job agent acl action agent-info deployment eval fmt license monitor namespace operator quota
recommendation scaling sentinel server setup tls ui var init validate plan fs keyring keygen node-drain node-status
server-members alloc-status eval-status client-config

scp rsync sftp shell docker nomad kubectl
`

func TestUnknownCommand_OtherTools(t *testing.T) {
	specs := slices.DeleteFunc(router.Specs(), func(s router.Spec) bool { return s.Hidden })
	named := regexp.MustCompile(`([a-z-]+) (?:ID|JOB|-n |--watch|--grep)`)
	for _, word := range strings.Fields(otherCommands) {
		if slices.Contains(router.CommandNames(), word) {
			continue
		}
		text := router.UnknownCommand(word, specs).Error()
		if text == "no command "+word+" (see: help)" || strings.Contains(text, "did you mean") {
			t.Errorf("%s: got %q, want a hint", word, text)
		}
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(router.CommandNames(), m[1]) {
				t.Errorf("%s: %q names the command %s, which does not exist", word, text, m[1])
			}
		}
	}
}
