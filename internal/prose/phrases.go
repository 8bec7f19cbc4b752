package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

// phrase is a phrase not to use.
type phrase struct {
	avoid     *regexp.Regexp
	except    *regexp.Regexp // a match of avoid that is fine; may be nil
	instead   string
	bad, good []string // examples, for the test
}

//go:embed phrases.txt
var phrasesFile string

// start is what precedes the first word of a sentence, a heading or a cell of a table.
const start = `(?:\A|[.:;!?|]\s+|\n\s*\n|\n[-*#]+ |\*\* )`

// phrases returns the list of phrases.txt, which explains its format.
func phrases() (list []phrase, err error) {
	for i, line := range strings.Split(phrasesFile, "\n") {
		key, value, _ := strings.Cut(line, " ")
		value = strings.TrimSpace(value)
		if key == "avoid" {
			list = append(list, phrase{})
		}
		if line == "" || key == "#" {
			continue
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("phrases.txt:%d: want an avoid line first", i+1)
		}
		p := &list[len(list)-1]
		switch key {
		case "avoid":
			p.avoid, err = compile(value)
		case "except":
			p.except, err = compile(value)
		case "write":
			p.instead = value
		case "bad":
			p.bad = append(p.bad, value)
		case "good":
			p.good = append(p.good, value)
		default:
			err = fmt.Errorf("unknown key %q", key)
		}
		if err != nil {
			return nil, fmt.Errorf("phrases.txt:%d: %w", i+1, err)
		}
	}
	return list, nil
}

// compile returns the regular expression of a line of phrases.txt.
func compile(pattern string) (*regexp.Regexp, error) {
	pattern = strings.ReplaceAll(pattern, " ", `\s+`)
	return regexp.Compile(`(?i)` + strings.ReplaceAll(pattern, "START", start))
}
