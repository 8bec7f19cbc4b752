package gateway

import (
	"strings"

	"golang.org/x/crypto/ssh"
)

// HostKey identifies a host key of the gateway. Operators give the fingerprint to users, who compare it before the
// first login.
type HostKey struct {
	Fingerprint string // SHA256:...
	Type        string // as ssh-keygen -l prints it, such as ED25519
	File        string // the private key
}

func describeHostKeys(files []string, signers []ssh.Signer) []HostKey {
	var all []HostKey
	for i, signer := range signers {
		key := signer.PublicKey()
		all = append(all, HostKey{ssh.FingerprintSHA256(key), keyTypeName(key.Type()), files[i]})
	}
	return all
}

// keyTypeName returns the name that ssh-keygen -l prints for the type of a key.
func keyTypeName(kind string) string {
	switch {
	case strings.HasPrefix(kind, "ecdsa-"):
		return "ECDSA"
	default:
		return strings.ToUpper(strings.TrimPrefix(kind, "ssh-"))
	}
}
