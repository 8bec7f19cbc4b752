package parse

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// notNumbers may be accepted by strconv, time or a shell, but users do not mean them as numbers.
var notNumbers = []string{
	"", " ", "+", "-", "--1", "++1", "+-1", "1 ", " 1", "1\t", "1\n", "0x10", "0b1", "0o7", "1_000", "1e3", "1.5", "1,000",
	"010", "٣", "１", "²", "Inf", "NaN", "1k", "99999999999999999999", "9223372036854775808", "1000000000",
}

func TestNumber_DecimalDigits(t *testing.T) {
	for _, text := range append(notNumbers, "+1", "-1") {
		if n, ok := Number(text); ok {
			t.Errorf("%q: got %d, want an error", text, n)
		}
	}
	for text, want := range map[string]int{"0": 0, "7": 7, "42": 42, "999999999": 999_999_999} {
		if n, ok := Number(text); !ok || n != want {
			t.Errorf("%q: got %d, %v", text, n, ok)
		}
	}
}

func TestCount_SignsAreRelative(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "1": 1, "12": 12, "+1": 5, "+0": 4, "-1": 3, "-4": 0} {
		if n, err := Count(text, 4); err != nil || n != want {
			t.Errorf("%q of 4: got %d, %v, want %d", text, n, err, want)
		}
	}
	for _, text := range append(notNumbers, "+999999999") {
		if n, err := Count(text, 4); err == nil {
			t.Errorf("%q: got %d, want an error", text, n)
		}
	}
	if _, err := Count("-5", 4); err == nil || err.Error() != "the count is 4, so -5 would make it less than 0" {
		t.Errorf("got %v", err)
	}
}

func TestDurationFlag(t *testing.T) {
	var d time.Duration
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	DurationVar(f, &d, "timeout", 5*time.Minute, "maximum time to wait")
	if usage := f.FlagUsages(); !strings.Contains(usage, "--timeout duration") ||
		!strings.Contains(usage, "(default 5m0s)") {
		t.Errorf("got %q", usage)
	}
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute,
		"1.5s": 1500 * time.Millisecond, "20ms": 20 * time.Millisecond,
	} {
		if err := f.Parse([]string{"--timeout", text}); err != nil || d != want {
			t.Errorf("%q: got %s, %v", text, d, err)
		}
	}
	for _, text := range []string{
		"", "5", "+5m", "-5m", "5 m", ".5s", "5ns", "5µs", "٣s", "1_0s", "0x5s", "5M",
		"9999999999h", "999999999h",
	} {
		if err := f.Parse([]string{"--timeout", text}); err == nil {
			t.Errorf("%q: got %s, want an error", text, d)
		}
	}
}

func TestSeconds_PlainDecimals(t *testing.T) {
	for text, want := range map[string]float64{"2": 2, "0.5": 0.5, "3600": 3600} {
		if n, ok := Seconds(text); !ok || n != want {
			t.Errorf("%q: got %v, %v", text, n, ok)
		}
	}
	for _, text := range []string{"", "+2", "-2", "0x1p4", "1e3", "Inf", "NaN", ".5", "5.", "1_0", "٣", " 2"} {
		if n, ok := Seconds(text); ok {
			t.Errorf("%q: got %v, want an error", text, n)
		}
	}
}

func TestTime(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"10m":                       now.Add(-10 * time.Minute),
		"1h30m":                     now.Add(-90 * time.Minute),
		"0s":                        now,
		"3d":                        time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
		"2026-11-22":                time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
		"2026-11-22 14:05":          time.Date(2026, 11, 22, 14, 5, 0, 0, time.UTC),
		"2026-11-22T14:05:06":       time.Date(2026, 11, 22, 14, 5, 6, 0, time.UTC),
		"2026-11-22T14:05:06.5Z":    time.Date(2026, 11, 22, 14, 5, 6, 5e8, time.UTC),
		"10:30":                     time.Date(2026, 11, 27, 10, 30, 0, 0, time.UTC),
		"12:00":                     now,
		"12:01":                     time.Date(2026, 11, 26, 12, 1, 0, 0, time.UTC),
		"23:59:59":                  time.Date(2026, 11, 26, 23, 59, 59, 0, time.UTC),
		"2026-11-22T14:05:06+02:00": time.Date(2026, 11, 22, 12, 5, 6, 0, time.UTC),
	} {
		if got, err := Time(text, now); !got.Equal(want) || err != nil {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "yesterday", "-10m", "10", "2026-13-01", "24:00", "1:05", "14:5", "14:05:", "-3d", "1.5d",
	} {
		if got, err := Time(text, now); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
