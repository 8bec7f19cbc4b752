// Package suggest finds the name that a user probably meant when they mistyped one.
package suggest

import "strings"

// maxLength is the length in bytes of the longest words and names that are compared.
const maxLength = 128

// Closest returns the name with the fewest typing errors compared to word, ignoring case, or "" if none is close. See
// Nearest.
func Closest(word string, names []string) string {
	if nearest := Nearest(word, names); len(nearest) > 0 {
		return nearest[0]
	}
	return ""
}

// Nearest returns the names with the fewest typing errors compared to word, ignoring case, in the order of names. They
// have at most two errors, one if word is shorter than three bytes, and always fewer than word has bytes. Words and
// names over 128 bytes are never close.
func Nearest(word string, names []string) (nearest []string) {
	if len(word) > maxLength {
		return nil
	}
	fewest := min(len(word)/3+1, len(word)-1, 2)
	word = strings.ToLower(word)
	for _, name := range names {
		if len(name) > maxLength || max(len(name)-len(word), len(word)-len(name)) > fewest {
			continue
		}
		switch d := editDistance(word, strings.ToLower(name)); {
		case d < fewest:
			nearest, fewest = []string{name}, d
		case d == fewest:
			nearest = append(nearest, name)
		}
	}
	return nearest
}

// editDistance counts the bytes to insert, delete, replace or swap with their neighbor to turn a into b (optimal
// string alignment).
func editDistance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			d[i][j] = min(replace, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
