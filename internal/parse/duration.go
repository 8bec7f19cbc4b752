package parse

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

var (
	secondsPattern  = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?$`)
	durationPattern = regexp.MustCompile(`^([0-9]{1,9}(\.[0-9]{1,9})?(h|m|s|ms))+$`)
)

// Seconds parses a number of seconds, which may have decimals.
func Seconds(text string) (float64, bool) {
	if !secondsPattern.MatchString(text) {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

// Duration parses a duration such as 90s or 1h30m, without a sign.
func Duration(text string) (time.Duration, bool) {
	if text != "0" && !durationPattern.MatchString(text) {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// DurationVar defines a flag that takes a duration.
func DurationVar(f *pflag.FlagSet, p *time.Duration, name string, value time.Duration, usage string) {
	*p = value
	f.Var((*durationFlag)(p), name, usage)
}

type durationFlag time.Duration

func (d *durationFlag) Set(text string) error {
	parsed, ok := Duration(text)
	if !ok {
		return errors.New("not a duration (write 30s or 5m)")
	}
	*d = durationFlag(parsed)
	return nil
}

func (d *durationFlag) Type() string   { return "duration" }
func (d *durationFlag) String() string { return time.Duration(*d).String() }

var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly,
}

var clockLayouts = []string{"15:04:05", "15:04"}

// maxDays is the maximum number of days before now. No log is older.
const maxDays = 36500

// Time parses a time in UTC, or a duration before now. A time without a date is the latest one before now.
func Time(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, ok := Number(days); ok && n <= maxDays {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, ok := Duration(text); ok {
		return now.Add(-d), nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return t, nil
		}
	}
	for _, layout := range clockLayouts {
		if c, err := time.Parse(layout, text); err == nil && len(text) == len(layout) {
			year, month, day := now.UTC().Date()
			t := time.Date(year, month, day, c.Hour(), c.Minute(), c.Second(), 0, time.UTC)
			if t.After(now) {
				t = t.AddDate(0, 0, -1)
			}
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("not a time: %.100q (write 10m, 2h, 3d, 14:05, or 2026-11-22 14:05)", text)
}
