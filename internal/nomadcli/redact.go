package nomadcli

import (
	"slices"
	"strings"
)

// secretFlags are the flags of any command whose values are secrets. They include refused flags, because refused
// command lines are recorded too.
var secretFlags = map[string]bool{
	"token": true, "consul-token": true, "vault-token": true, "login-token": true, "secret": true, "var": true,
	"header": true, // of operator api
}

// Redact returns the words of a command with each secret replaced by the result of redactValue. It is for records, so
// it also accepts commands that Check refuses. Words after "--" are unchanged, except those of var put and var lock.
// In the command that alloc exec runs in the task, Redact replaces only the values of flags that Check refuses.
func Redact(args []string, redactValue func(string) string) []string {
	args = slices.Clone(args)
	if len(args) == 0 {
		return args
	}
	c := command{}
	rest, err := c.parseName(args)
	if err != nil {
		rest = args
	}
	kinds := flagKinds(c.rule.flags + " " + commonFlags)
	argCount := 0
	for i := len(args) - len(rest); i < len(args); i++ {
		word := args[i]
		if word == "--" {
			if !c.rule.secretArgs {
				break
			}
			continue
		}
		if word == "" || word == "-" || word[0] != '-' {
			key, _, pair := strings.Cut(word, "=")
			// The first word is normally a path. Without a slash it may be a pair whose path is missing.
			if argCount++; c.rule.secretArgs && pair && (argCount > 1 || !strings.Contains(key, "/")) {
				args[i] = redactValue(word)
			}
			continue
		}
		dashes := len(word) - len(strings.TrimLeft(word, "-"))
		name, _, given := strings.Cut(word[dashes:], "=")
		secret := secretFlags[strings.ToLower(name)] || kinds[name] == "secret" || c.path == "operator api" && name == "H"
		if c.path == "alloc exec" && argCount > 0 {
			_, secret = refusedAnywhere[flagName(word)] // Check refuses these; all other words belong to the program
		}
		switch {
		case secret && given:
			at := dashes + len(name) + len("=")
			args[i] = word[:at] + redactValue(word[at:])
		case secret && i+1 < len(args):
			i++
			args[i] = redactValue(args[i])
		case !given && kinds[name] != "":
			i++ // its value is not a flag
		}
	}
	return args
}
