// Package suggest finds the name that a user probably meant when they mistyped one.
package suggest

import "strings"

// Closest returns the name with the fewest typing errors compared to word, ignoring case. It returns "" unless a name
// has at most len(word)/3+1 errors, and fewer than len(word). Words and names over 64 bytes are never close.
func Closest(word string, names []string) string {
	const maxLength = 64
	if len(word) > maxLength {
		return ""
	}
	best, fewest := "", min(len(word)/3+2, len(word))
	for _, name := range names {
		if len(name) > maxLength {
			continue
		}
		if d := editDistance(strings.ToLower(word), strings.ToLower(name)); d < fewest {
			best, fewest = name, d
		}
	}
	return best
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
