package backends

import (
	"crypto/sha1" // #nosec: an identifier people script against, not a secret
	"encoding/hex"
)

// ExecID returns the 10 hex digits by which people name a task of an allocation: the beginning of the SHA-1 of
// the task's name and the allocation's ID. It is the original nomadctld's and will not change.
func ExecID(task, allocation string) string {
	sum := sha1.Sum([]byte(task + allocation))
	return hex.EncodeToString(sum[:5])
}
