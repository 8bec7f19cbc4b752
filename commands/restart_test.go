package commands

import "testing"

func TestBatchSize_NumberOrPercentage(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "5": 5, "25%": 2, "1%": 1, "100%": 10} {
		if n, err := batchSize(text, 10); err != nil || n != want {
			t.Errorf("%q: got %d, %v, want %d", text, n, err, want)
		}
	}
	for _, text := range append([]string{
		"", " ", "+", "-", "--1", "++1", "+-1", "1 ", " 1", "1\t", "1\n", "0x10", "0b1", "0o7", "1_000", "1e3", "1.5",
		"1,000", "010",
		"٣", "１", "²", "Inf", "NaN", "1k", "99999999999999999999", "9223372036854775808", "1000000000",
	}, "0", "0%", "101%", "%", "+25%", "-1", "+1", "25 %", "25%%", "0x5%") {
		if n, err := batchSize(text, 10); err == nil {
			t.Errorf("%q: got %d, want an error", text, n)
		}
	}
}
