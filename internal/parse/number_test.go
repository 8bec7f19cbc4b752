package commands

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

func TestParseNumber_DecimalDigits(t *testing.T) {
	for _, text := range append(notNumbers, "+1", "-1") {
		if n, ok := parseNumber(text); ok {
			t.Errorf("%q: got %d, want an error", text, n)
		}
	}
	for text, want := range map[string]int{"0": 0, "7": 7, "42": 42, "999999999": 999_999_999} {
		if n, ok := parseNumber(text); !ok || n != want {
			t.Errorf("%q: got %d, %v", text, n, ok)
		}
	}
}

func TestParseCount_SignsAreRelative(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "1": 1, "12": 12, "+1": 5, "+0": 4, "-1": 3, "-4": 0} {
		if n, err := parseCount(text, 4); err != nil || n != want {
			t.Errorf("%q of 4: got %d, %v, want %d", text, n, err, want)
		}
	}
	for _, text := range append(notNumbers, "+999999999") {
		if n, err := parseCount(text, 4); err == nil {
			t.Errorf("%q: got %d, want an error", text, n)
		}
	}
	if _, err := parseCount("-5", 4); err == nil || err.Error() != "the count is 4, so -5 would make it less than 0" {
		t.Errorf("got %v", err)
	}
}

func TestDurationFlag(t *testing.T) {
	var d time.Duration
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	durationVar(f, &d, "timeout", 5*time.Minute, "maximum time to wait")
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

func TestParseSeconds_PlainDecimals(t *testing.T) {
	for text, want := range map[string]float64{"2": 2, "0.5": 0.5, "3600": 3600} {
		if n, ok := parseSeconds(text); !ok || n != want {
			t.Errorf("%q: got %v, %v", text, n, ok)
		}
	}
	for _, text := range []string{"", "+2", "-2", "0x1p4", "1e3", "Inf", "NaN", ".5", "5.", "1_0", "٣", " 2"} {
		if n, ok := parseSeconds(text); ok {
			t.Errorf("%q: got %v, want an error", text, n)
		}
	}
}

func TestBatchSize_NumberOrPercentage(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "5": 5, "25%": 2, "1%": 1, "100%": 10} {
		if n, err := batchSize(text, 10); err != nil || n != want {
			t.Errorf("%q: got %d, %v, want %d", text, n, err, want)
		}
	}
	for _, text := range append(notNumbers, "0", "0%", "101%", "%", "+25%", "-1", "+1", "25 %", "25%%", "0x5%") {
		if n, err := batchSize(text, 10); err == nil {
			t.Errorf("%q: got %d, want an error", text, n)
		}
	}
}
