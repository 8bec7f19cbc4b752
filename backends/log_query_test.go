package backends

import "testing"

func TestShareLines(t *testing.T) {
	for _, tc := range []struct {
		n               int
		available, want [2]int
	}{
		{100, [2]int{500, 500}, [2]int{50, 50}},
		{5, [2]int{500, 500}, [2]int{2, 3}},
		{1, [2]int{500, 500}, [2]int{0, 1}},
		{1, [2]int{500, 0}, [2]int{1, 0}},
		{100, [2]int{500, 3}, [2]int{97, 3}},
		{100, [2]int{3, 500}, [2]int{3, 97}},
		{100, [2]int{3, 4}, [2]int{3, 4}},
		{0, [2]int{3, 4}, [2]int{0, 0}},
	} {
		if got := ShareLines(tc.n, tc.available); got != tc.want {
			t.Errorf("%d lines of %d: got %d, want %d", tc.n, tc.available, got, tc.want)
		}
	}
}
