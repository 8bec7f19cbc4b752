// Package parse parses the numbers, durations and times that users type. The parsers of strconv and time accept too
// much: signs, hexadecimal digits, underscores.
package parse

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// maxNumber is larger than any useful count, line number or version, and too small to overflow.
const maxNumber = 999_999_999

var digitsPattern = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)

// Number parses a number in plain decimal digits, up to maxNumber.
func Number(text string) (int, bool) {
	if !digitsPattern.MatchString(text) {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// Count parses a new count: N, or +N or -N relative to the current count.
func Count(text string, current int) (int, error) {
	sign, n, ok := SplitCount(text)
	if !ok {
		return 0, fmt.Errorf("COUNT is a number of allocations, not %q", text)
	}
	if sign != 0 {
		n = current + sign*n
	}
	if n < 0 {
		return 0, fmt.Errorf("the count is %d, so %s would make it less than 0", current, text)
	}
	if n > maxNumber {
		return 0, fmt.Errorf("the count is %d, so %s would make it more than %d", current, text, maxNumber)
	}
	return n, nil
}

// SplitCount returns the sign of a count, or 0 if it has no sign, and its number.
func SplitCount(text string) (sign, n int, ok bool) {
	if number, signed := strings.CutPrefix(text, "+"); signed {
		sign, text = 1, number
	} else if number, signed := strings.CutPrefix(text, "-"); signed {
		sign, text = -1, number
	}
	n, ok = Number(text)
	return sign, n, ok
}
