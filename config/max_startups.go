package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// MaxStartups bounds the connections that have not authenticated, as MaxStartups of sshd. Full is their maximum, and a
// quarter of it is reserved for networks from which a user has logged in recently. If other networks have Start
// connections or more, a new one closes an older one with a probability of Rate percent. The probability rises to 100
// percent when all unreserved slots are in use.
type MaxStartups struct {
	Start, Rate, Full int // 1 <= Start <= Full, and 1 <= Rate <= 100
}

var defaultMaxStartups = MaxStartups{Start: 10, Rate: 30, Full: 100}

func (m MaxStartups) String() string { return fmt.Sprintf("%d:%d:%d", m.Start, m.Rate, m.Full) }

// maxStartups reads maxstartups: start:rate:full, or one number N, which means N:100:N.
func (l *loader) maxStartups(t *table) MaxStartups {
	const key = "maxstartups"
	example := key + " = " + quote(defaultMaxStartups.String())
	if n := t.find(key); n != nil && n.kind == unstable.Integer {
		n := t.number(key, defaultMaxStartups.Full)
		return MaxStartups{Start: n, Rate: 100, Full: n}
	}
	v := t.text(key, example)
	if !v.ok {
		return defaultMaxStartups
	}
	m, problem := parseMaxStartups(v.text)
	if problem != "" {
		l.errorf(v.at, "write "+example, "%s %s: %s", v.name, problem, quote(v.text))
	}
	return m
}

// parseMaxStartups parses start:rate:full, or one number. A problem completes a sentence whose subject is the key.
func parseMaxStartups(text string) (m MaxStartups, problem string) {
	parts := strings.Split(text, ":")
	if len(parts) == 1 {
		parts = []string{text, "100", text}
	}
	if len(parts) != 3 {
		return m, "is not start:rate:full"
	}
	for i, field := range []struct {
		name  string
		value *int
		max   int
	}{{"start", &m.Start, maxNumber}, {"rate", &m.Rate, 100}, {"full", &m.Full, maxNumber}} {
		n, err := strconv.ParseUint(parts[i], 10, strconv.IntSize-1)
		if err != nil || n < 1 || int(n) > field.max {
			return m, fmt.Sprintf("is not start:rate:full, because %s is not a number from 1 to %d", field.name, field.max)
		}
		*field.value = int(n)
	}
	if m.Start > m.Full {
		return m, "has a start above full"
	}
	return m, ""
}
