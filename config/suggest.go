package config

import (
	"fmt"
	"slices"
	"strings"

	"nomadctld/internal/suggest"
)

// didYouMean says which of the known words was probably meant, or lists them when none is near.
func didYouMean(word string, known []string) string {
	if best := suggest.Closest(word, known); best != "" {
		return fmt.Sprintf("did you mean %s?", quote(best))
	}
	if len(known) == 0 {
		return "remove it"
	}
	all := slices.Sorted(slices.Values(known))
	return "known here: " + strings.Join(all, ", ")
}
