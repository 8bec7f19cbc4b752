package mask

import (
	"regexp"
	"strings"
)

var (
	interpolation = regexp.MustCompile(
		`\$\{(?:[A-Za-z0-9_]+|(?:attr|meta|node|device|env)[.\["][A-Za-z0-9_.\["\]-]+)\}|\{\{[^{}]*\}\}`)
	pathName    = regexp.MustCompile(`(?i)(file|path|dir)$`)
	pathPattern = regexp.MustCompile(`^(/[A-Za-z0-9_.-]+)+/?$`)

	// lookupPattern matches functions of templates with an argument that names what they read or compare.
	lookupPattern = regexp.MustCompile(`\b(?:secrets?|key|keyExists|ls|safeLs|tree|safeTree|env|mustEnv|file|` +
		`services?|connect|` +
		`nomadVar|nomadVarExists|nomadVarList|nomadVarListSafe|nomadServices?|index\s+[.$\w]+|(?:eq|ne)\s+[.$\w]+)\s+"[^"]*"`)
	separatorPattern = regexp.MustCompile(`"(?:[^"A-Za-z0-9]{0,3}|\\[nt])"`)
	literalPattern   = regexp.MustCompile("[\"`']|[0-9]{4}")
)

// withoutReferences removes the interpolations and template actions from a text. Those that contain a value of their
// own remain, such as {{ "password" }} and the default in ${NAME:-password}.
func withoutReferences(text string) string {
	return interpolation.ReplaceAllStringFunc(text, func(action string) string {
		if strings.HasPrefix(action, "$") {
			return ""
		}
		rest := separatorPattern.ReplaceAllString(lookupPattern.ReplaceAllString(action, ""), "")
		isComment := strings.Contains(rest, "/*")
		if literalPattern.MatchString(rest) || isComment && (isSecretName(rest) || hasRandomWord(rest)) {
			return action
		}
		return ""
	})
}

// isReference reports whether a value names the location of a secret but does not contain it: an interpolation such as
// ${NOMAD_SECRETS_DIR}/key, or the path in a variable such as PASSWORD_FILE.
func isReference(name, value string) bool {
	rest := withoutReferences(value)
	if rest != value && (strings.Trim(rest, " \"'/") == "" || pathPattern.MatchString(rest)) {
		return true
	}
	if !pathName.MatchString(name) {
		return false
	}
	return pathPattern.MatchString(value) || rest != value && !strings.ContainsAny(rest, "={")
}
