package nomadcli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"
)

// command is a parsed command line.
type command struct {
	path   string // full name, such as "job status"; empty: Nomad's own help
	rule   rule
	values map[string][]string // the values of each flag that was given; "" for -flag without a value
	args   []string            // the arguments: neither flags nor values of flags
	help   bool                // Nomad prints the command's help and does nothing
}

// parse parses a command line. It returns an error with the reason if the command is refused.
//
// It follows Nomad's parsing where that is unambiguous and refuses the rest. The command's name consists of as many
// of the first words as form a known command. Flags follow, with one dash or two, and end at the first other word or
// at "--". Nomad also matches words that only start or end like a command; parse requires each word to match
// exactly.
func parse(args []string) (command, error) {
	c := command{values: map[string][]string{}}
	for _, arg := range args {
		if !utf8.ValidString(arg) || strings.ContainsRune(arg, 0) {
			return c, fmt.Errorf("the argument %s is not valid text", quoted(arg))
		}
	}
	if len(args) == 0 {
		return c, errors.New("a nomad command is missing; -help lists them")
	}
	if len(args) == 1 {
		switch args[0] {
		case "-h", "-help", "--help":
			c.help = true
			return c, nil
		case "-v", "-version", "--version":
			c.path, c.rule = "version", rules["version"]
			return c, nil
		}
	}
	rest, err := c.parseName(args)
	if err != nil {
		return c, err
	}
	if c.rule.refused != "" {
		return c, fmt.Errorf("nomad %s is refused: %s", c.path, c.rule.refused)
	}
	if err := c.parseFlags(rest); err != nil {
		return c, err
	}
	if c.rule.group && len(c.args) > 0 {
		return c, fmt.Errorf("nomad %s %s is not known to be safe", c.path, quoted(c.args[0]))
	}
	if c.rule.check != nil {
		return c, c.rule.check(c)
	}
	return c, nil
}

// parseName finds the command and returns the words after its name.
func (c *command) parseName(args []string) (rest []string, err error) {
	if strings.HasPrefix(args[0], "-") {
		if why, ok := refusedAnywhere[flagName(args[0])]; ok {
			return nil, refusedFlagError(args[0], why)
		}
		return nil, fmt.Errorf("the nomad command must come first, before %s", quoted(args[0]))
	}
	n := 0
	for n < len(args) && !strings.ContainsRune(args[n], ' ') {
		path := strings.Join(args[:n+1], " ")
		if _, ok := rules[path]; !ok {
			break
		}
		c.path = path
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("nomad %s is not known to be safe", quoted(args[0]))
	}
	c.rule = rules[c.path]
	if as := c.rule.aliasOf; as != "" {
		c.path, c.rule = as, rules[as]
	}
	return args[n:], nil
}

// parseFlags fills values and args. It refuses flags of refusedAnywhere up to the first "--". A "--" that is the value
// of a flag does not count.
func (c *command) parseFlags(args []string) error {
	known := flagKinds(c.rule.flags + " " + commonFlags)
	for len(args) > 0 {
		word := args[0]
		if word == "--" {
			c.args = args[1:]
			return nil
		}
		if word == "" || word == "-" || word[0] != '-' {
			c.args = args
			return checkNoRefusedFlag(args)
		}
		args = args[1:]
		name, value, given := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
		if why, ok := refusedAnywhere[flagName(word)]; ok {
			return refusedFlagError(word, why)
		}
		kind, ok := known[name]
		if !ok {
			if why, ok := refusedFlags[name]; ok {
				return refusedFlagError(word, why)
			}
			return fmt.Errorf("the flag %s of nomad %s is not known to be safe", quoted(word), c.path)
		}
		if kind == "" {
			c.values[name] = append(c.values[name], value)
			if given && value == "" {
				return fmt.Errorf("the flag %s needs true or false after =", quoted(word))
			}
			c.help = c.help || name == "h" || name == "help"
			continue
		}
		if !given {
			if len(args) == 0 {
				return fmt.Errorf("the flag %s needs a value", quoted(word))
			}
			value, args = args[0], args[1:]
			if why, ok := refusedAnywhere[flagName(value)]; ok {
				return refusedFlagError(value, why)
			}
		}
		if kind == "template" {
			// Nomad adds template functions that print environment variables.
			if _, err := template.New("").Parse(value); err != nil {
				return fmt.Errorf("the template of %s may only use Go's built-in functions: %s", quoted(word), quoted(err.Error()))
			}
		}
		c.values[name] = append(c.values[name], value)
	}
	return nil
}

// checkNoRefusedFlag refuses flags of refusedAnywhere among the arguments, up to "--".
func checkNoRefusedFlag(words []string) error {
	for _, word := range words {
		if word == "--" {
			return nil
		}
		if why, ok := refusedAnywhere[flagName(word)]; ok {
			return refusedFlagError(word, why+`; put "--" before it if it is not a flag`)
		}
	}
	return nil
}

// flagName returns the name of a flag in any spelling, or "" if the word does not start with a dash.
func flagName(word string) string {
	if !strings.HasPrefix(word, "-") {
		return ""
	}
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	return strings.ToLower(strings.TrimSpace(name))
}

// flagKinds maps each flag to the kind of its value: "" for a boolean flag.
func flagKinds(flags string) map[string]string {
	kinds := map[string]string{}
	for _, f := range strings.Fields(flags) {
		name, kind, value := strings.Cut(f, "=")
		if value && kind == "" {
			kind = "value"
		}
		kinds[name] = kind
	}
	return kinds
}

// refusedFlagError omits the flag's value: it may be a secret, and the error is recorded.
func refusedFlagError(word, why string) error {
	name, _, _ := strings.Cut(word, "=")
	return fmt.Errorf("the flag %s is refused: %s", quoted(name), why)
}

// quoted returns a word quoted for an error message, truncated if it is long.
func quoted(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return strconv.Quote(s)
}
