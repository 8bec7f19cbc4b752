package backends

import "strings"

// ParseDetachKeys returns the bytes of detach keys in Docker's notation: x or ctrl-x, separated by commas. The notation
// must be valid.
func ParseDetachKeys(notation string) (keys []byte) {
	for key := range strings.SplitSeq(notation, ",") {
		switch {
		case key == "":
		case len(key) == 1:
			keys = append(keys, key[0])
		default:
			keys = append(keys, key[len(key)-1]&0x1f)
		}
	}
	return keys
}
