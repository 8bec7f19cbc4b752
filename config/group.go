package config

import (
	"regexp"
	"slices"
	"strings"
)

// alwaysKnownRights are commands, rights of flags, and sets that a group may always name. Load gets the names of the
// other commands from its caller.
var alwaysKnownRights = strings.Fields("ps batch pstree info status inspect di logs tail exec exec-user attach stop " +
	"restart raw purge secrets @read @enter @operate @admin")

var namespacePattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,128}$`) // as in Nomad

// groups reads [prefix].
func (l *loader) groups(t *table) map[string]Group {
	groups := map[string]Group{}
	for _, sub := range t.subtables() {
		// An uppercase name is an error. The lowercase key avoids a second error where a user names the group in
		// lowercase.
		groups[strings.ToLower(sub.node.name)] = l.group(sub)
	}
	return groups
}

func (l *loader) group(t *table) Group {
	defer t.reportUnknownKeys()
	g := Group{Name: t.node.name}
	l.checkName(t.node, "prefix group")
	listed := t.texts("prefix", `prefix = ["p-team1-"]`)
	for _, v := range listed.items {
		if v.text == "raw" {
			g.Raw = true
			continue
		}
		l.checkPrefix(v)
		l.checkGroupPrefix(v)
		g.Prefixes = append(g.Prefixes, v.text)
	}
	if listed.empty() {
		l.warnf(listed.at, `write prefix = ["p-team1-"]`, "%s is %s, so the group grants nothing", listed.name,
			listed.emptyText())
	}
	if g.Raw && len(g.Prefixes) == 0 {
		l.warnf(listed.at, `add the prefixes of the tiers, as in prefix = ["p-", "raw"]`,
			`%s contains "raw" but no job prefix, so the group grants nothing`, listed.name)
	}
	if names := t.texts("commands", `commands = ["ps", "logs"]`); names.given {
		g.Commands = l.groupCommands(names)
	}
	if names := t.texts("namespaces", `namespaces = ["default"]`); names.given {
		g.Namespaces = []string{} // not nil, which would allow all namespaces
		for _, v := range names.items {
			if !namespacePattern.MatchString(v.text) {
				l.errorf(v.at, "write the name of a namespace, or remove namespaces to allow all of them",
					"%s is not a namespace name: %s", v.name, quote(v.text))
			}
			g.Namespaces = append(g.Namespaces, v.text)
		}
		l.warnEmpty(names)
	}
	if from := t.texts("from", `from = ["10.0.0.0/8"]`); from.given {
		g.From = l.networks(from)
		l.warnEmpty(from)
	}
	g.Require = l.require(t)
	g.Limits = l.groupLimits(t.sub("limits"))
	return g
}

func (l *loader) groupCommands(names list) []string {
	commands := []string{} // not nil, which would grant the default commands
	known := slices.Concat(alwaysKnownRights, l.commands)
	for _, v := range names.items {
		if !slices.Contains(known, v.text) {
			l.errorf(v.at, didYouMean(v.text, slices.Compact(slices.Sorted(slices.Values(known)))),
				"%s is not a right or a set of rights: %s", v.name, quote(v.text))
		}
		commands = append(commands, v.text)
	}
	l.warnEmpty(names)
	return commands
}

// warnEmpty warns of a list that is present but empty. An absent list means the opposite.
func (l *loader) warnEmpty(names list) {
	if names.empty() {
		l.warnf(names.at, "add to the list, or remove it for the default", "%s is %s, so the group grants nothing",
			names.name, names.emptyText())
	}
}
