package audit

import (
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"
)

// Certificate identifies the certificate of a login. For a refused login, it is the certificate that the client sent.
type Certificate struct {
	Serial     uint64     `json:"serial,string"` // a string, because JSON parsers round large numbers
	KeyID      string     `json:"key_id"`
	CA         string     `json:"ca"` // fingerprint of its key
	Principals []string   `json:"principals"`
	Expires    *time.Time `json:"expires,omitempty"` // UTC; nil: never
}

const (
	maxKeyID      = 256 // bytes, also of a principal
	maxPrincipals = 32
)

// NewCertificate returns the data of a certificate, or nil if the key is not a certificate. It truncates long fields.
func NewCertificate(key ssh.PublicKey) *Certificate {
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return nil
	}
	c := &Certificate{
		Serial: cert.Serial, KeyID: truncate(cert.KeyId, maxKeyID), CA: ssh.FingerprintSHA256(cert.SignatureKey),
		Principals: []string{},
	}
	for i, principal := range cert.ValidPrincipals {
		if i == maxPrincipals {
			c.Principals = append(c.Principals, fmt.Sprintf("... (%d principals)", len(cert.ValidPrincipals)))
			break
		}
		c.Principals = append(c.Principals, truncate(principal, maxKeyID))
	}
	if seconds := int64(cert.ValidBefore); seconds >= 0 && seconds <= maxTime {
		expires := time.Unix(seconds, 0).UTC()
		c.Expires = &expires
	}
	return c
}

// maxTime is the last second of the year 9999, the last that JSON can represent.
const maxTime = 253402300799
