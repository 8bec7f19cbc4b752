package authkeys

import (
	"crypto/rsa"

	"golang.org/x/crypto/ssh"
)

const (
	weakDSA = "is a DSA key, which is no longer safe"
	weakRSA = "is an RSA key with fewer than 2048 bits"
)

// Weakness returns why a key is not safe, or "". The reason follows the subject: "is a DSA key". The weakness of a
// certificate is that of its key.
func Weakness(key ssh.PublicKey) string {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	if key.Type() == "ssh-dss" {
		return weakDSA
	}
	if c, ok := key.(ssh.CryptoPublicKey); ok {
		if r, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok && r.N.BitLen() < 2048 {
			return weakRSA
		}
	}
	return ""
}

// IsSecurityKey reports whether a key, or the key of a certificate, is on a FIDO security key.
func IsSecurityKey(key ssh.PublicKey) bool {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	return key.Type() == ssh.KeyAlgoSKED25519 || key.Type() == ssh.KeyAlgoSKECDSA256
}
