package config

import (
	"fmt"
	"slices"
	"strings"
)

// suggest says which of the known words was probably meant, or lists them when none is near.
func suggest(word string, known []string) string {
	best, least := "", min(3, (len(word)+1)/2)+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", quote(best))
	}
	if len(known) == 0 {
		return "remove it"
	}
	all := slices.Sorted(slices.Values(known))
	return "known here: " + strings.Join(all, ", ")
}

// distance is the number of letters to insert, drop or replace to make b of a (Levenshtein); a word no name
// resembles for its length alone is not measured.
func distance(a, b string) int {
	if len(a) > 2*len(b)+2 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
