package backends

import (
	"crypto/sha1" // #nosec: an identifier, not a secret
	"encoding/hex"
)

// ExecID returns the exec ID of a task: the first 10 hex digits of the SHA-1 of the task's name and the allocation's
// ID. Users script against it, so it must not change.
func ExecID(task, allocation string) string {
	sum := sha1.Sum([]byte(task + allocation))
	return hex.EncodeToString(sum[:5])
}
