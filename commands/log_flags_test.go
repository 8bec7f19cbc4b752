package commands

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
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
		"2026-11-22T14:05:06+02:00": time.Date(2026, 11, 22, 12, 5, 6, 0, time.UTC),
	} {
		if got, err := parseTime(text, now); !got.Equal(want) || err != nil {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-10m", "10", "2026-13-01", "14:05", "-3d", "1.5d"} {
		if got, err := parseTime(text, now); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
