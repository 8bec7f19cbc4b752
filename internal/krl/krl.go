// Package krl parses lists of revoked SSH keys and certificates: the binary KRLs of ssh-keygen -k, and text files with
// one key or fingerprint per line. It matches keys and certificates against them with the rules of OpenSSH. It is pure:
// it reads no files and no clock.
package krl

import (
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
)

// List is a list of revoked keys and certificates. It does not change after Parse. The nil List revokes nothing.
type List struct {
	keys   map[string]bool // public keys in SSH wire format
	sha1   map[[sha1.Size]byte]bool
	sha256 map[[sha256.Size]byte]bool

	certs map[string]*certificates // by the CA's public key in SSH wire format; "" is every CA
}

// certificates are the revoked certificates of one CA.
type certificates struct {
	serials []serialRange // sorted and disjoint after Parse
	bitmaps []serialBitmap
	keyIDs  map[string]bool
}

// serialRange includes both ends.
type serialRange struct{ first, last uint64 }

// serialBitmap revokes offset+i for each bit i that is set. The last byte has the bits 0 to 7.
type serialBitmap struct {
	offset uint64
	bits   []byte
}

func newList() *List {
	return &List{
		keys: map[string]bool{}, sha1: map[[sha1.Size]byte]bool{}, sha256: map[[sha256.Size]byte]bool{},
		certs: map[string]*certificates{},
	}
}

// Check returns why a key or a certificate is revoked, or "". A certificate is also revoked if its key or the key of
// its CA is revoked.
func (l *List) Check(key ssh.PublicKey) string {
	if l == nil {
		return ""
	}
	cert, isCert := key.(*ssh.Certificate)
	if !isCert {
		if l.hasKey(key) {
			return "the key is revoked"
		}
		return ""
	}
	switch {
	case l.hasKey(cert.Key):
		return "the certificate's key is revoked"
	case l.hasKey(cert.SignatureKey):
		return "the CA's key is revoked"
	}
	for _, ca := range []string{string(cert.SignatureKey.Marshal()), ""} {
		if reason := l.certs[ca].check(cert); reason != "" {
			return reason
		}
	}
	return ""
}

func (l *List) hasKey(key ssh.PublicKey) bool {
	wire := key.Marshal()
	return l.keys[string(wire)] || l.sha1[sha1.Sum(wire)] || l.sha256[sha256.Sum256(wire)]
}

// check returns why a certificate of the CA is revoked, or "". Certificates without a serial number have 0, which no
// list contains.
func (c *certificates) check(cert *ssh.Certificate) string {
	switch {
	case c == nil:
	case c.keyIDs[cert.KeyId]:
		return "the certificate's key ID is revoked"
	case c.hasSerial(cert.Serial):
		return fmt.Sprintf("the certificate's serial number %d is revoked", cert.Serial)
	}
	return ""
}

func (c *certificates) hasSerial(serial uint64) bool {
	_, inRange := slices.BinarySearchFunc(c.serials, serial, func(r serialRange, serial uint64) int {
		switch {
		case r.last < serial:
			return -1
		case r.first > serial:
			return 1
		}
		return 0
	})
	return inRange || slices.ContainsFunc(c.bitmaps, func(b serialBitmap) bool { return b.has(serial) })
}

func (b serialBitmap) has(serial uint64) bool {
	if serial < b.offset {
		return false
	}
	bit := serial - b.offset
	if bit/8 >= uint64(len(b.bits)) {
		return false
	}
	return b.bits[uint64(len(b.bits))-1-bit/8]&(1<<(bit%8)) != 0
}

// mergeRanges sorts ranges and joins those that overlap.
func mergeRanges(ranges []serialRange) []serialRange {
	slices.SortFunc(ranges, func(a, b serialRange) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return 0
	})
	merged := ranges[:0]
	for _, r := range ranges {
		if n := len(merged); n > 0 && r.first <= merged[n-1].last {
			merged[n-1].last = max(merged[n-1].last, r.last)
		} else {
			merged = append(merged, r)
		}
	}
	return merged
}
