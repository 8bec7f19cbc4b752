package router

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"nomadctld/internal/cmdline"
)

// redactedValue replaces a secret value in the gateway's records.
const redactedValue = "***"

const secretAnnotation = "nomadctld.secret"

// MarkSecret marks flags whose values are secrets: the audit log records K=*** for a value K=V, and *** for any
// other. It is called from Spec.Flags.
func MarkSecret(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		if err := flags.SetAnnotation(name, secretAnnotation, []string{"true"}); err != nil {
			panic("router: " + err.Error())
		}
	}
}

// redactedLine is a command line without the values of secrets, for the audit log and for other users.
type redactedLine struct {
	line          string
	words         []string          // after alias expansion
	errorReplacer *strings.Replacer // removes the secrets from an error text; nil: there are none
}

// redactError returns an error text without the secrets.
func (r redactedLine) redactError(text string) string {
	if r.errorReplacer == nil {
		return text
	}
	return r.errorReplacer.Replace(text)
}

// redactLine redacts the secrets in a command line. The line may be one that Split refuses, because refused lines
// are recorded too.
//
// It redacts the words as their command would parse them, and then replaces each changed word at its position in the
// line. Words that an alias adds are not in the line.
func redactLine(line string, aliases map[string]string) redactedLine {
	spans := cmdline.Spans(line)
	spans = spans[:min(len(spans), cmdline.MaxWords)] // a longer line is refused, and would use much memory here
	words, err := cmdline.Split(line)
	if err != nil || len(words) != len(spans) {
		words = make([]string, len(spans))
		for i, s := range spans {
			words[i] = unquote(line[s[0]:s[1]])
		}
	}
	added := 0 // words added by the expansion
	if len(words) > 0 && commandTable[words[0]] == nil {
		if expansion, err := cmdline.SplitAlias(aliases[words[0]]); err == nil {
			added = len(expansion) - 1
			words = slices.Concat(expansion, words[1:])
		}
	}
	r := redactedLine{line: line, words: words}
	switch {
	case len(words) == 0:
		return r
	case commandTable[words[0]] != nil:
		r.words = commandTable[words[0]]().Spec().redactWords(words)
	default:
		r.words = redactByAnyCommand(words)
	}
	var b strings.Builder
	var pairs []string
	done := 0
	for i, word := range r.words {
		if word == words[i] {
			continue
		}
		pairs = append(pairs, secretReplacements(words[i], word)...)
		if i > added {
			s := spans[i-added]
			b.WriteString(line[done:s[0]] + quoteWord(word))
			done = s[1]
		}
	}
	r.line = b.String() + line[done:]
	if len(pairs) > 0 {
		r.errorReplacer = strings.NewReplacer(pairs...)
	}
	return r
}

// redactByAnyCommand is Spec.redact for an unknown command name, which may be mistyped: it redacts what any command
// would redact.
func redactByAnyCommand(words []string) []string {
	all := slices.Clone(words)
	for _, spec := range Specs() {
		if !spec.hasSecrets() {
			continue
		}
		for i, word := range spec.redactWords(words) {
			if word != words[i] && (all[i] == words[i] || len(word) < len(all[i])) {
				all[i] = word
			}
		}
	}
	return all
}

// hasSecrets reports whether redact can change anything.
func (s Spec) hasSecrets() (has bool) {
	s.FlagSet(new(Request)).VisitAll(func(f *pflag.Flag) { has = has || f.Annotations[secretAnnotation] != nil })
	return has || s.Redact != nil
}

// redactWords returns the words of a command line, starting with the command's name, with the values of secret flags
// redacted. It follows the rules of pflag and skips unknown flags.
func (s Spec) redactWords(words []string) []string {
	words = slices.Clone(words)
	if s.Redact != nil {
		copy(words[1:], s.Redact(words[1:]))
		return words
	}
	flags := s.FlagSet(new(Request))
	args := 0
	for i := 1; i < len(words); i++ {
		word := words[i]
		if word == "--" {
			break
		}
		if len(word) < 2 || word[0] != '-' {
			if args++; s.RunsProgram && args > 1 {
				break // the rest belongs to the program
			}
			continue
		}
		if s.RunsProgram && args > 0 && word == "-c" {
			break // the rest is a shell command. Other flags here are refused, but redacted all the same.
		}
		at, next := s.findSecret(flags, word)
		switch {
		case at >= 0:
			words[i] = word[:at] + redactValue(word[at:])
		case next != nil:
			if i++; i < len(words) && next.Annotations[secretAnnotation] != nil {
				words[i] = redactValue(words[i])
			}
		}
	}
	return words
}

// findSecret returns the offset in a word at which a secret value starts, or -1. If the next word is the value of a
// flag, it returns that flag.
func (s Spec) findSecret(flags *pflag.FlagSet, word string) (at int, next *pflag.Flag) {
	isSecret := func(f *pflag.Flag) bool { return f.Annotations[secretAnnotation] != nil }
	if strings.HasPrefix(word, "--") {
		name, _, given := strings.Cut(word[2:], "=")
		switch f := flags.Lookup(name); {
		case f == nil:
		case given && isSecret(f):
			return len("--") + len(name) + len("="), nil
		case !given && f.NoOptDefVal == "":
			return -1, f
		}
		return -1, nil
	}
	for i := 1; i < len(word); i++ {
		if word[i] >= utf8.RuneSelf {
			continue
		}
		f := flags.ShorthandLookup(word[i : i+1])
		rest := word[i+1:]
		switch {
		case f == nil:
			continue
		case len(rest) > 1 && rest[0] == '=':
			if isSecret(f) {
				return i + 2, nil
			}
			return -1, nil
		case f.NoOptDefVal != "":
			continue
		case rest != "":
			if isSecret(f) {
				return i + 1, nil
			}
			return -1, nil
		}
		return -1, f
	}
	return -1, nil
}

// redactValue redacts a value, or only the V of K=V.
func redactValue(value string) string {
	if key, _, ok := strings.Cut(value, "="); ok && key != "" {
		return key + "=" + redactedValue
	}
	return redactedValue
}

// secretReplacements returns pairs for a strings.Replacer: the forms in which a secret may appear in an error, and
// their replacements.
func secretReplacements(word, redacted string) (pairs []string) {
	// Shorter values would also match unrelated text.
	const minValue = 4
	add := func(secret, replacement string) {
		if secret != "" {
			pairs = append(pairs, secret, replacement)
		}
		if quoted := strconv.Quote(secret); quoted != `"`+secret+`"` {
			pairs = append(pairs, quoted[1:len(quoted)-1], replacement)
		}
	}
	add(word, redacted)
	start := strings.TrimSuffix(redacted, redactedValue)
	value := word[min(len(start), len(word)):]
	if key := strings.LastIndexAny(strings.TrimSuffix(start, "="), "=-"); strings.HasSuffix(start, "=") && key >= 0 {
		add(start[key+1:]+value, start[key+1:]+redactedValue)
	}
	if len(value) >= minValue {
		add(value, redactedValue)
	}
	return pairs
}

// quoteWord returns a word quoted for a command line, if necessary.
func quoteWord(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\r\n'\"\\#") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// unquote returns the word that raw represents in a command line, even if its quotes are not closed.
func unquote(raw string) string {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '\\' && quote != '\'' && i+1 < len(raw):
			i++
			b.WriteByte(raw[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
