package nomad

import (
	"encoding/json"

	"nomadctld/backends"
)

// equalDefinitions reports whether two definitions have equal releases.
func equalDefinitions(a, b json.RawMessage) bool {
	x, errX := backends.ReleaseOf(a)
	y, errY := backends.ReleaseOf(b)
	return errX == nil && errY == nil && x.Equal(y)
}
