package config

import (
	"fmt"
	"slices"
	"strings"

	"nomadctld/internal/suggest"
)

// didYouMean returns the known word that is close to word, or lists the known words if none is close.
func didYouMean(word string, known []string) string {
	if best := suggest.Closest(word, known); best != "" {
		return fmt.Sprintf("did you mean %s?", quote(best))
	}
	if len(known) == 0 {
		return "remove it"
	}
	return "use one of: " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}
