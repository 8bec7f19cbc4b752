// Package pattern compiles the regular expressions that users pass to commands. It owns the limits that keep an
// expression from exhausting the gateway's memory. Users' expressions must not be compiled anywhere else.
package pattern

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

const (
	maxLength = 1000 // bytes
	maxSize   = 2000 // instructions

	// rangesPerInstruction is the number of character-class ranges that count as one instruction. A class such as
	// \pL has hundreds of ranges, and regexp copies them.
	rangesPerInstruction = 8
)

// Compile returns the regular expression unless it exceeds the limits. It calculates the size from the parsed
// expression, because compiling is what uses the memory: ((abc){30}d){30} is 16 bytes long and compiles to more than
// 2,700 instructions.
func Compile(expr string) (*regexp.Regexp, error) {
	if len(expr) > maxLength {
		return nil, fmt.Errorf("the pattern has %d bytes, the limit is %d", len(expr), maxLength)
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if size(parsed) > maxSize {
		return nil, fmt.Errorf(
			"the pattern is too large: it compiles to more than %d instructions (write fewer or smaller repetitions)",
			maxSize)
	}
	return regexp.Compile(expr)
}

// size returns an upper bound for the number of instructions that an expression compiles to, without the first and the
// last, or maxSize+1 if it exceeds maxSize.
func size(re *syntax.Regexp) int {
	if re.Op == syntax.OpRepeat {
		return repeatSize(re)
	}
	n := 2 // alternatives and captures have an instruction at the start and one at the end
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

// repeatSize returns the size of x{min,max}: that of max copies of x, each with an instruction to skip the rest.
func repeatSize(re *syntax.Regexp) int {
	copies := re.Max
	if re.Max < 0 {
		copies = re.Min + 1
	}
	return min(2+copies*(size(re.Sub[0])+1), maxSize+1) // at most 1000 copies: syntax.Parse checks that
}
