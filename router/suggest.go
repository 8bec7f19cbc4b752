package router

// didYouMean returns ": did you mean NAME?" for the name nearest to word, or nothing when none is near.
func didYouMean(word string, names []string) string {
	if best := nearest(word, names); best != "" {
		return ": did you mean " + best + "?"
	}
	return ""
}

// nearest returns the name that is fewest edits away from word, if that is at most a third of its length and
// a bit; else "".
func nearest(word string, names []string) string {
	best, fewest := "", len(word)/3+2
	if len(word) > 40 {
		return ""
	}
	for _, name := range names {
		if d := distance(word, name); d < fewest {
			best, fewest = name, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
