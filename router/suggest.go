package router

import "nomadctld/internal/nearest"

// didYouMean returns ": did you mean NAME?" for the name nearest to word, or nothing when none is near.
func didYouMean(word string, names []string) string {
	if best := nearest.Name(word, names); best != "" {
		return ": did you mean " + best + "?"
	}
	return ""
}
