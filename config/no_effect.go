package config

import (
	"maps"
	"slices"
	"strings"

	"nomadctld/internal/cmdline"
)

// checkAliasTarget warns of an alias whose command line does not start with a command. Aliases are expanded once, so an
// alias of an alias does not work. v is a valid command line.
func (l *loader) checkAliasTarget(t *table, v value) {
	words, err := cmdline.SplitAlias(v.text)
	if err != nil || len(words) == 0 || slices.Contains(l.commands, words[0]) || len(l.commands) == 0 {
		return
	}
	if t.find(words[0]) != nil {
		l.warnf(v.at, "write the command that it stands for", "%s starts with %s, which is an alias, not a command: "+
			"an alias is expanded only once", v.name, quote(words[0]))
		return
	}
	l.warnf(v.at, didYouMean(words[0], l.commands), "%s starts with %s, which is not a command", v.name,
		quote(words[0]))
}

// checkGroupPrefix warns of a prefix that has no job in any tier. The tiers must have been read.
func (l *loader) checkGroupPrefix(v value) {
	known := map[string]bool{}
	for _, tier := range l.cfg.Tiers {
		for _, prefix := range tier.Prefixes {
			if strings.HasPrefix(v.text, prefix) || strings.HasPrefix(prefix, v.text) {
				return
			}
			known[prefix] = true
		}
	}
	if len(known) == 0 { // already reported
		return
	}
	all := slices.Sorted(maps.Keys(known))
	list := strings.Join(all[:min(len(all), maxListedPrefixes)], ", ")
	if len(all) > maxListedPrefixes {
		list += ", ..."
	}
	l.warnf(v.at, "start it with a prefix of a tier: "+list, "%s (%s) matches the prefix of no tier, so it grants nothing",
		v.name, quote(v.text))
}

// maxListedPrefixes limits the prefixes in a hint.
const maxListedPrefixes = 8
