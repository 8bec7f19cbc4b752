package jobspec

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// UUID derives an ID in Nomad's format from names. The same names give the same ID.
func UUID(names ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
