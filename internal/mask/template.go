package mask

import (
	"regexp"
	"strings"
)

// templateText is the rule for templates. A template may be a file of passwords in any format, so a line is hidden
// unless it is known to be harmless.
var templateText = textRule{pair: isHarmless, line: isHarmlessLine}

var (
	punctuationPattern = regexp.MustCompile(`^[\s{}\[\](),;:="']*$|^---$`)
	commentPattern     = regexp.MustCompile(`^\s*(?:#+|//+|;+)(?:\s.*)?$`)
)

// isHarmlessLine reports whether a template line without an assignment is harmless: it is blank, the start or the end
// of a block, or an ordinary comment. Template actions were removed from it.
func isHarmlessLine(line string) bool {
	switch {
	case punctuationPattern.MatchString(line):
		return true
	case commentPattern.MatchString(line):
		return !isSecretName(line) && !hasRandomWord(line)
	}
	return isStructure(line)
}

// blockEnd matches the rest of a line after the name of a block: name: or name {, with labels and a comment.
const blockEnd = `["']?(?:\s+"[^"]*")*\s*(?::\s*[|>]?[-+0-9]*|[:=]?\s*[{\[(])\s*(?:(?:#|//)\s.*)?$`

var (
	blockPattern   = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)` + blockEnd)
	openPattern    = regexp.MustCompile(`^\s*(?:-\s+)?["']?[A-Za-z_][A-Za-z0-9_.-]*` + blockEnd)
	sectionPattern = regexp.MustCompile(`^\s*\[+\s*["']?([A-Za-z_][A-Za-z0-9_. -]*)["']?\s*\]+\s*$`)
)

// isStructure reports whether a line starts a block or a section and has no value.
func isStructure(line string) bool {
	return (openPattern.MatchString(line) || sectionPattern.MatchString(line)) && !hasRandomWord(line) &&
		!strings.ContainsAny(line, "#/")
}

// nesting finds the lines below the name of a secret, such as those of a block credentials { ... } or the indented
// lines after credentials: in YAML.
type nesting struct {
	isBlock   bool // in a block with the name of a secret
	isSection bool // in a section such as [credentials]
	indent    int  // of the line that started the block
	depth     int  // brackets that are open in the block
}

// next returns whether the next line is below the name of a secret. Template actions were removed from it.
func (n *nesting) next(line string) bool {
	text := strings.TrimLeft(line, " \t")
	if text == "" {
		return n.isBlock || n.isSection
	}
	indent := len(line) - len(text)
	if n.isBlock {
		n.isBlock = n.depth > 0 || indent > n.indent || indent == n.indent && strings.HasPrefix(text, "-")
	}
	if n.isBlock {
		if punctuationPattern.MatchString(line) || isStructure(line) { // brackets of other lines are part of values
			n.depth += brackets(line)
		}
		return true
	}
	if section := sectionPattern.FindStringSubmatch(line); section != nil {
		n.isSection = isSecretName(section[1])
		return false
	}
	if block := blockPattern.FindStringSubmatch(line); block != nil && isSecretName(block[1]) {
		n.isBlock, n.indent, n.depth = true, indent, max(0, brackets(line))
		return n.isSection
	}
	return n.isSection
}

// brackets returns how many more brackets a line opens than it closes.
func brackets(line string) (n int) {
	for _, c := range line {
		switch c {
		case '{', '[', '(':
			n++
		case '}', ']', ')':
			n--
		}
	}
	return n
}
