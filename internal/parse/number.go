package commands

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// This file parses the numbers that users type, except inspect --version. The parsers of strconv and time accept too
// much: signs, hexadecimal digits, underscores.

// maxNumber is larger than any useful count, line number or version, and too small to overflow.
const maxNumber = 999_999_999

var (
	digitsPattern   = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)
	secondsPattern  = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?$`)
	durationPattern = regexp.MustCompile(`^([0-9]{1,9}(\.[0-9]{1,9})?(h|m|s|ms))+$`)
)

// parseNumber parses a number in plain decimal digits, up to maxNumber.
func parseNumber(text string) (int, bool) {
	if !digitsPattern.MatchString(text) {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// parseCount parses a new count: N, or +N or -N relative to the current count.
func parseCount(text string, current int) (int, error) {
	sign, n, ok := splitCount(text)
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

// splitCount returns the sign of a count, or 0 if it has no sign, and its number.
func splitCount(text string) (sign, n int, ok bool) {
	if number, signed := strings.CutPrefix(text, "+"); signed {
		sign, text = 1, number
	} else if number, signed := strings.CutPrefix(text, "-"); signed {
		sign, text = -1, number
	}
	n, ok = parseNumber(text)
	return sign, n, ok
}

// parseSeconds parses a number of seconds, which may have decimals.
func parseSeconds(text string) (float64, bool) {
	if !secondsPattern.MatchString(text) {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

// parseDuration parses a duration such as 90s or 1h30m, without a sign.
func parseDuration(text string) (time.Duration, bool) {
	if text != "0" && !durationPattern.MatchString(text) {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// durationVar defines a flag that takes a duration.
func durationVar(f *pflag.FlagSet, p *time.Duration, name string, value time.Duration, usage string) {
	*p = value
	f.Var((*durationFlag)(p), name, usage)
}

type durationFlag time.Duration

func (d *durationFlag) Set(text string) error {
	parsed, ok := parseDuration(text)
	if !ok {
		return errors.New("not a duration such as 30s or 5m")
	}
	*d = durationFlag(parsed)
	return nil
}

func (d *durationFlag) Type() string   { return "duration" }
func (d *durationFlag) String() string { return time.Duration(*d).String() }

// secondsFlag is the value of the flag --watch.
type secondsFlag float64

func (s *secondsFlag) Set(text string) error {
	parsed, ok := parseSeconds(text)
	if !ok {
		return errors.New("--watch takes 1 to 3600 seconds")
	}
	*s = secondsFlag(parsed)
	return nil
}

func (s *secondsFlag) Type() string   { return "float64" }
func (s *secondsFlag) String() string { return strconv.FormatFloat(float64(*s), 'g', -1, 64) }
