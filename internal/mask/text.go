package mask

import (
	"regexp"
	"strings"
)

// secretPatterns match secrets that are recognizable without their names.
var secretPatterns = []*regexp.Regexp{
	regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY`),
	regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^/\s:@"']*:[^/\s@"']+@`),                        // postgres://user:password@host
	regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^/\s:@"']{16,}@`),                               // https://key@sentry.example
	regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`),                                // JWT
	regexp.MustCompile(`\b(?:hv[sbr]|s|b|r)\.[A-Za-z0-9_-]{20,}`),                                  // Vault
	regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`),                                            // AWS
	regexp.MustCompile(`\b(?:gh[pousr]|github_pat)_[A-Za-z0-9_]{20,}`),                             // GitHub
	regexp.MustCompile(`\b(?:glpat|xox[abeprs]|dckr_pat|npm|pypi|sk|rk|pk)[-_][A-Za-z0-9_-]{16,}`), // others
	regexp.MustCompile(`\bAIza[0-9A-Za-z_-]{30,}`),                                                 // Google
	regexp.MustCompile(`\bhooks\.slack\.com/services/\S+`),
	regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+[A-Za-z0-9+/=._~-]{16,}`),
}

// assignmentPattern matches name=value and name: value anywhere in a text, and flagPattern --name value. A colon must
// be followed by a space or follow a quote, because image names and addresses have colons too.
var (
	assignmentPattern = regexp.MustCompile(
		`([A-Za-z_][A-Za-z0-9_.-]*)(?:["']?\s*=\s*|["']\s*:\s*|\s*:\s+)["']?([^\s"'&;,]+)`)
	flagPattern = regexp.MustCompile(`(?:^|\s)--?([A-Za-z][A-Za-z0-9_-]*)\s+["']?([^\s"']+)`)
)

// exposes reports whether a text contains something that is recognizable as a secret.
func exposes(text string) bool {
	for _, pattern := range secretPatterns {
		if pattern.MatchString(text) {
			return true
		}
	}
	for _, pattern := range []*regexp.Regexp{assignmentPattern, flagPattern} {
		for _, found := range pattern.FindAllStringSubmatch(text, -1) {
			if isSecretName(found[1]) && !isReference(found[1], found[2]) {
				return true
			}
		}
	}
	return false
}

// linePattern matches a line that assigns one value: name=value, --name=value, export NAME="value" or "name": value.
var linePattern = regexp.MustCompile(`^(\s*(?:-\s+|--?|export\s+)?["']?)([A-Za-z_][A-Za-z0-9_.-]*)(["']?\s*=\s*|["']\s*:\s*|\s*:\s+)(\S.*?)(,?\s*)$`)

// textRule decides which lines of a text are shown. Values that are recognizable as secrets are hidden in any case.
type textRule struct {
	pair func(name, value string) bool // a line that assigns a value
	line func(line string) bool        // any other line
}

// plainText is the rule for strings that are not expected to be secrets.
var plainText = textRule{
	pair: func(name, value string) bool { return !isSecretName(name) || isReference(name, value) },
	line: func(string) bool { return true },
}

// maskText masks a text line by line. In a line that assigns a value, only the value is hidden. Of a private key, every
// line is hidden. Below the name of a secret, every value is hidden.
func maskText(text string, rule textRule) string {
	lines := strings.SplitAfter(text, "\n")
	inKey := false
	var outer nesting
	for i, line := range lines {
		body := strings.TrimRight(line, "\r\n")
		end := line[len(body):]
		isKey := inKey || secretPatterns[0].MatchString(body)
		inKey = isKey && !strings.Contains(body, "-----END ")
		rest := withoutReferences(body)
		isBelow := outer.next(rest)
		parts := linePattern.FindStringSubmatch(body)
		switch {
		case isKey:
			lines[i] = Hidden + end
		case isStructure(rest) && !exposes(rest):
		case parts != nil:
			value := strings.Trim(parts[4], `"'`)
			if !rule.pair(parts[2], value) || exposes(value) || isBelow && !isReference(parts[2], value) {
				lines[i] = parts[1] + parts[2] + parts[3] + Hidden + parts[5] + end
			}
		case exposes(rest), !rule.line(rest), isBelow && !punctuationPattern.MatchString(rest):
			lines[i] = Hidden + end
		}
	}
	return strings.Join(lines, "")
}
