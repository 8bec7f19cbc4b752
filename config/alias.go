package config

import (
	"errors"
	"slices"
	"strings"
	"unicode"

	"nomadctld/internal/cmdline"
)

// aliases reads [alias].
func (l *loader) aliases(t *table) map[string]string {
	const example = `psp = "ps --tier production"`
	aliases := map[string]string{}
	if t.node == nil {
		return aliases
	}
	for _, n := range t.node.children {
		v := t.text(n.name, example)
		if !v.ok {
			continue
		}
		aliases[n.name] = v.text
		_, err := cmdline.SplitAlias(v.text)
		switch {
		case !oneWord(n.name):
			l.errorf(n.key, "use one word, as in "+example, "%s is not a valid alias name", v.name)
		case errors.Is(err, cmdline.ErrNoCommand):
			l.errorf(v.at, "write the command, as in "+example, "%s contains no command", v.name)
		case errors.Is(err, cmdline.ErrUnclosed):
			l.errorf(v.at, "close every quote", "%s cannot be split into words", v.name)
		case err != nil:
			l.errorf(v.at, "write a line that a user could send", "%s: %v", v.name, err)
		case slices.Contains(l.commands, n.name):
			l.warnf(n.key, "rename or remove it", "%s has the name of a built-in command, which always wins", v.name)
		default:
			l.warnCase(n, "name")
			l.checkAliasTarget(t, v)
		}
	}
	return aliases
}

// oneWord reports whether s can be typed as one word.
func oneWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) })
}
