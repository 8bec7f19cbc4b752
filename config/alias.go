package config

import (
	"slices"
	"strings"
	"unicode"

	"github.com/google/shlex"
)

// aliases reads [alias].
func (l *loader) aliases(t *table) map[string]string {
	aliases := map[string]string{}
	if t.node == nil {
		return aliases
	}
	for _, n := range t.node.children {
		v := t.text(n.name, `psp = "ps --tier production"`)
		if !v.ok {
			continue
		}
		aliases[n.name] = v.text
		words, err := shlex.Split(v.text)
		switch {
		case !oneWord(n.name):
			l.errorf(n.key, `write psp = "ps --tier production"`, "%s is not one word, as the name of an alias has to be", v.name)
		case err != nil:
			l.errorf(v.at, "close every quote", "%s cannot be split into words", v.name)
		case len(words) == 0:
			l.errorf(v.at, `write psp = "ps --tier production"`, "%s holds no command", v.name)
		case slices.Contains(l.commands, n.name):
			l.warnf(n.key, "remove it, or give it another name", "%s shadows a command: the built-in command wins", v.name)
		default:
			l.warnCase(n, "type that")
		}
	}
	return aliases
}

// oneWord reports whether s can be typed as one word.
func oneWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) })
}
