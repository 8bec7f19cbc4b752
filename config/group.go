package config

import (
	"regexp"
	"slices"
	"strings"
)

// builtinRights are the rights that exist whatever this program was built with, the sets of rights among them; beside them a
// group may name the commands that Load is told of.
var builtinRights = strings.Fields("ps batch pstree info status inspect di logs tail exec exec-user attach stop restart raw purge @read @enter @operate @admin")

var namespacePattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,128}$`) // what Nomad lets a namespace be called

// groups reads [prefix].
func (l *loader) groups(t *table) map[string]Group {
	groups := map[string]Group{}
	for _, sub := range t.subtables() {
		// A name in upper case was refused; that users write it in lower case needs no fault of its own.
		groups[strings.ToLower(sub.node.name)] = l.group(sub)
	}
	return groups
}

func (l *loader) group(t *table) Group {
	defer t.reportUnknownKeys()
	g := Group{Name: t.node.name}
	l.checkName(t.node, "a prefix group")
	listed := t.texts("prefix", `prefix = ["p-team1-"]`)
	for _, v := range listed.items {
		if v.text == "raw" {
			g.Raw = true
			continue
		}
		l.checkPrefix(v)
		g.Prefixes = append(g.Prefixes, v.text)
	}
	if listed.empty() {
		l.warnf(listed.at, `write prefix = ["p-team1-"]`, "%s is empty, so the group grants nothing", listed.name)
	}
	if g.Raw && len(g.Prefixes) == 0 {
		l.warnf(listed.at, `write the prefixes of the tiers too, such as prefix = ["p-", "raw"]`, "%s has raw and no prefix of jobs, so the group grants nothing", listed.name)
	}
	if names := t.texts("commands", `commands = ["ps", "logs"]`); names.given {
		g.Commands = l.groupCommands(names)
	}
	if names := t.texts("namespaces", `namespaces = ["default"]`); names.given {
		g.Namespaces = []string{} // not nil: that would be all of them
		for _, v := range names.items {
			if !namespacePattern.MatchString(v.text) {
				l.errorf(v.at, "write the names of namespaces, or leave namespaces out for every one", "%s is no namespace: %s", v.name, quote(v.text))
			}
			g.Namespaces = append(g.Namespaces, v.text)
		}
		l.warnEmpty(names)
	}
	return g
}

func (l *loader) groupCommands(names list) []string {
	commands := []string{} // not nil: that would be all of them
	known := slices.Concat(builtinRights, l.commands)
	for _, v := range names.items {
		if !slices.Contains(known, v.text) {
			l.errorf(v.at, didYouMean(v.text, slices.Compact(slices.Sorted(slices.Values(known)))), "%s is no command and no set of them: %s", v.name, quote(v.text))
		}
		commands = append(commands, v.text)
	}
	l.warnEmpty(names)
	return commands
}

// warnEmpty warns of a list that is there but empty, because an absent one means the opposite.
func (l *loader) warnEmpty(names list) {
	if names.empty() {
		l.warnf(names.at, "fill the list, or remove it for all of them", "%s is empty, so the group grants nothing", names.name)
	}
}
