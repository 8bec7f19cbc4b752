package authkeys

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// option is an option as written. value is without quotes; nil: there is none.
type option struct {
	name  string // lowercase
	value *string
}

var errQuote = errors.New("has an option without its closing quote")

// cutOptions splits a line into the options and the rest. Commas separate the options, and a space that is not in
// quotes ends them. In quotes, \" is a quote.
func cutOptions(line string) (options []option, rest string, err error) {
	for {
		end := strings.IndexAny(line, "=, \t")
		if end < 0 {
			return nil, "", errors.New("is not an SSH key")
		}
		o := option{name: strings.ToLower(line[:end])}
		if line = line[end:]; line[0] == '=' {
			value, after, err := cutQuoted(line[1:], o.name)
			if err != nil {
				return nil, "", err
			}
			o.value, line = &value, after
		}
		if o.name != "" || o.value != nil { // sshd also accepts two commas
			options = append(options, o)
		}
		switch {
		case line == "":
			return nil, "", errors.New("has options but no SSH key")
		case line[0] == ',':
			line = line[1:]
		case line[0] == ' ' || line[0] == '\t':
			return options, strings.TrimLeft(line, " \t"), nil
		default:
			return nil, "", fmt.Errorf("has text after the value of %s", describe(o.name))
		}
	}
}

// describe returns the name of a known option. Other text may be a part of a secret in the wrong file.
func describe(name string) string {
	if flagOptions[name] != nil || valueOptions[name] != nil || notEnforced[name] != "" {
		return "the option " + name
	}
	return "an option"
}

// cutQuoted returns the value in the quotes at the start of s, and the text after them.
func cutQuoted(s, name string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", fmt.Errorf("has %s without quotes around its value", describe(name))
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], nil
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", errQuote
}

// flagOptions are the options without a value. The gateway has no X11 forwarding, agent forwarding or rc files, so the
// options about them are accepted and have no effect.
var flagOptions = map[string]func(*Options){
	"cert-authority":      func(o *Options) { o.CertAuthority = true },
	"restrict":            func(o *Options) { o.NoTerminal, o.NoForwarding = true, true },
	"pty":                 func(o *Options) { o.NoTerminal = false },
	"no-pty":              func(o *Options) { o.NoTerminal = true },
	"port-forwarding":     func(o *Options) { o.NoForwarding = false },
	"no-port-forwarding":  func(o *Options) { o.NoForwarding = true },
	"agent-forwarding":    func(*Options) {},
	"no-agent-forwarding": func(*Options) {},
	"x11-forwarding":      func(*Options) {},
	"no-x11-forwarding":   func(*Options) {},
	"user-rc":             func(*Options) {},
	"no-user-rc":          func(*Options) {},
}

// notEnforced are the options of sshd that the gateway does not enforce.
var notEnforced = map[string]string{
	"environment":       "the gateway sets no environment variables",
	"no-touch-required": "the gateway always requires a touch of a security key",
	"verify-required":   "the gateway cannot check that the PIN was entered",
	"permitopen":        "the gateway cannot restrict forwarding to addresses: use no-port-forwarding",
	"permitlisten":      "the gateway cannot restrict forwarding to addresses: use no-port-forwarding",
	"tunnel":            "the gateway has no tunnel devices",
}

// parseOptions returns the restrictions of options. Like in sshd, the last one of pty and no-pty counts, and the
// earliest expiry-time.
func parseOptions(options []option, zone *time.Location) (Options, error) {
	var o Options
	given := map[string]bool{}
	for _, option := range options {
		if why, known := notEnforced[option.name]; known {
			return o, fmt.Errorf("has the option %s, which cannot be enforced: %s", option.name, why)
		}
		if set := flagOptions[option.name]; set != nil {
			if option.value != nil {
				return o, fmt.Errorf("has the option %s with a value", option.name)
			}
			set(&o)
			continue
		}
		set := valueOptions[option.name]
		switch {
		case set == nil:
			return o, fmt.Errorf("has the unknown option %.40q", option.name)
		case option.value == nil:
			return o, fmt.Errorf("has the option %s without a value", option.name)
		case given[option.name] && option.name != "expiry-time":
			return o, fmt.Errorf("has two %s= options", option.name)
		}
		given[option.name] = true
		if err := set(&o, *option.value, zone); err != nil {
			return o, err
		}
	}
	if o.Principals != nil && !o.CertAuthority {
		return o, errors.New("has principals= without cert-authority")
	}
	return o, nil
}

// valueOptions are the options with a value.
var valueOptions = map[string]func(o *Options, value string, zone *time.Location) error{
	"command": func(o *Options, value string, _ *time.Location) error {
		if strings.TrimSpace(value) == "" {
			return errors.New("has an empty command= option")
		}
		o.Command = &value
		return nil
	},
	"from": func(o *Options, value string, _ *time.Location) (err error) {
		o.From, err = parseSources(value)
		return err
	},
	"principals": func(o *Options, value string, _ *time.Location) error {
		for _, name := range strings.Split(value, ",") {
			if name == "" {
				return errors.New("has an empty name in principals=")
			}
			o.Principals = append(o.Principals, name)
		}
		return nil
	},
	"expiry-time": func(o *Options, value string, zone *time.Location) error {
		expires, ok := parseTime(value, zone)
		if !ok {
			return errors.New("has an expiry-time= that is not YYYYMMDD or YYYYMMDDHHMM[SS], with Z for UTC")
		}
		if o.Expires.IsZero() || expires.Before(o.Expires) {
			o.Expires = expires
		}
		return nil
	},
}

// parseTime parses YYYYMMDD or YYYYMMDDHHMM[SS], with the suffix Z for UTC.
func parseTime(text string, zone *time.Location) (time.Time, bool) {
	digits, utc := strings.CutSuffix(text, "Z")
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(layout) == len(digits) {
			t, err := time.ParseInLocation(layout, digits, zone)
			return t, err == nil
		}
	}
	return time.Time{}, false
}
