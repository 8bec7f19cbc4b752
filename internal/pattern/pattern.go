// Package pattern compiles the regular expressions that users give to commands. It owns the limits that keep one
// expression from using up the gateway's memory. Every expression of a user has to be compiled here.
package pattern

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

const (
	maxLength = 1000 // bytes
	maxSize   = 2000 // instructions

	// rangesPerInstruction is how many ranges of a character class count as one more instruction: a class such as \pL has
	// hundreds of them, and regexp copies them.
	rangesPerInstruction = 8
)

// Compile returns the regular expression, unless it is longer or larger than the limits allow. The size is calculated from
// the parsed expression, because compiling is what takes the memory: ((abc){30}d){30} has 16 bytes and more than 2,700 instructions.
func Compile(expr string) (*regexp.Regexp, error) {
	if len(expr) > maxLength {
		return nil, fmt.Errorf("the pattern has %d bytes, the limit is %d", len(expr), maxLength)
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if size(parsed) > maxSize {
		return nil, fmt.Errorf("the pattern is too large: it compiles to more than %d instructions (write fewer or smaller repetitions)", maxSize)
	}
	return regexp.Compile(expr)
}

// size returns how many instructions an expression compiles to at most, or maxSize+1 if that is more than maxSize.
func size(re *syntax.Regexp) int {
	if re.Op == syntax.OpRepeat {
		return repeatSize(re)
	}
	n := 2 // an alternative or a capture has an instruction at its start and one at its end
	switch re.Op {
	case syntax.OpLiteral:
		n += len(re.Rune)
	case syntax.OpCharClass:
		n += len(re.Rune) / 2 / rangesPerInstruction
	case syntax.OpAlternate:
		n += len(re.Sub)
	}
	for _, sub := range re.Sub {
		if n += size(sub); n > maxSize {
			return maxSize + 1
		}
	}
	return n
}

// repeatSize returns the size of x{min,max}: that of max copies of x, each with an instruction that can leave out the rest.
func repeatSize(re *syntax.Regexp) int {
	copies := re.Max
	if re.Max < 0 {
		copies = re.Min + 1
	}
	return min(2+copies*(size(re.Sub[0])+1), maxSize+1) // at most 1000 copies, which syntax.Parse checks
}
