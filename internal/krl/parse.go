package krl

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/ssh"
)

// The format is documented in PROTOCOL.krl of OpenSSH.
const (
	magic         = "SSHKRL\n\x00"
	formatVersion = 1

	sectionCertificates = 1
	sectionKeys         = 2
	sectionSHA1         = 3
	sectionSignature    = 4
	sectionSHA256       = 5
	sectionExtension    = 255

	certSerialList   = 0x20
	certSerialRange  = 0x21
	certSerialBitmap = 0x22
	certKeyIDs       = 0x23
	certExtension    = 0x39
)

var errDamaged = errors.New("the KRL is damaged or incomplete")

// Parse parses the content of a file. A file that does not start like a KRL is text. The memory that the List uses is
// proportional to the length of data. An error means that the whole file must be refused, because a part that cannot be
// understood may revoke something.
func Parse(data []byte) (*List, error) {
	if !bytes.HasPrefix(data, []byte(magic)) {
		return parseText(data)
	}
	r := cryptobyte.String(data[len(magic):])
	var version uint32
	var krlVersion, date, flags uint64
	var reserved, comment cryptobyte.String
	switch {
	case !r.ReadUint32(&version):
		return nil, errDamaged
	case version != formatVersion:
		return nil, fmt.Errorf("the KRL has format version %d, but only %d is supported", version, formatVersion)
	case !r.ReadUint64(&krlVersion), !r.ReadUint64(&date), !r.ReadUint64(&flags), !readString(&r, &reserved),
		!readString(&r, &comment):
		return nil, errDamaged
	}
	l := newList()
	for !r.Empty() {
		var kind uint8
		var section cryptobyte.String
		if !r.ReadUint8(&kind) || !readString(&r, &section) {
			return nil, errDamaged
		}
		if err := l.addSection(kind, section); err != nil {
			return nil, err
		}
	}
	for _, c := range l.certs {
		c.serials = mergeRanges(c.serials)
	}
	return l, nil
}

func (l *List) addSection(kind uint8, section cryptobyte.String) error {
	switch kind {
	case sectionCertificates:
		return l.addCertificates(section)
	case sectionKeys:
		return eachString(section, func(wire []byte) error {
			l.keys[string(wire)] = true
			return nil
		})
	case sectionSHA1:
		return eachString(section, func(hash []byte) error {
			if len(hash) != sha1.Size {
				return errDamaged
			}
			l.sha1[[sha1.Size]byte(hash)] = true
			return nil
		})
	case sectionSHA256:
		return eachString(section, func(hash []byte) error {
			if len(hash) != sha256.Size {
				return errDamaged
			}
			l.sha256[[sha256.Size]byte(hash)] = true
			return nil
		})
	case sectionExtension:
		return checkExtension(section)
	case sectionSignature:
		return errors.New("the KRL is signed, which is not supported: create it without a signature")
	}
	return fmt.Errorf("the KRL has a section of the unknown type %d", kind)
}

// addCertificates adds the revoked certificates of one CA.
func (l *List) addCertificates(section cryptobyte.String) error {
	var ca, reserved cryptobyte.String
	if !readString(&section, &ca) || !readString(&section, &reserved) {
		return errDamaged
	}
	issuer := ""
	if len(ca) > 0 {
		key, err := ssh.ParsePublicKey(ca)
		if err != nil {
			return errors.New("the KRL revokes certificates of a CA whose key is damaged or of an unknown type")
		}
		if _, isCert := key.(*ssh.Certificate); isCert {
			return errors.New("the KRL names a certificate as a CA")
		}
		issuer = string(key.Marshal())
	}
	certs := l.certs[issuer]
	if certs == nil {
		certs = &certificates{keyIDs: map[string]bool{}}
		l.certs[issuer] = certs
	}
	for !section.Empty() {
		var kind uint8
		var subsection cryptobyte.String
		if !section.ReadUint8(&kind) || !readString(&section, &subsection) {
			return errDamaged
		}
		if err := certs.addSubsection(kind, subsection); err != nil {
			return err
		}
	}
	return nil
}

func (c *certificates) addSubsection(kind uint8, section cryptobyte.String) error {
	switch kind {
	case certSerialList:
		for !section.Empty() {
			var serial uint64
			if !section.ReadUint64(&serial) || serial == 0 {
				return errDamaged
			}
			c.serials = append(c.serials, serialRange{serial, serial})
		}
		return nil
	case certSerialRange:
		var r serialRange
		if !section.ReadUint64(&r.first) || !section.ReadUint64(&r.last) || !section.Empty() ||
			r.first == 0 || r.first > r.last {
			return errDamaged
		}
		c.serials = append(c.serials, r)
		return nil
	case certSerialBitmap:
		return c.addBitmap(section)
	case certKeyIDs:
		return eachString(section, func(id []byte) error {
			c.keyIDs[string(id)] = true
			return nil
		})
	case certExtension:
		return checkExtension(section)
	}
	return fmt.Errorf("the KRL has a certificate section of the unknown type 0x%02x", kind)
}

// addBitmap adds the serial numbers of a bitmap: an offset and a positive multiple-precision integer.
func (c *certificates) addBitmap(section cryptobyte.String) error {
	var offset uint64
	var number cryptobyte.String
	if !section.ReadUint64(&offset) || !readString(&section, &number) || !section.Empty() ||
		len(number) > 0 && number[0]&0x80 != 0 { // negative
		return errDamaged
	}
	set := bytes.TrimLeft(number, "\x00")
	if len(set) == 0 {
		return nil
	}
	last := uint64(len(set))*8 - uint64(bits.LeadingZeros8(set[0])) - 1
	if offset+last < offset || offset == 0 && set[len(set)-1]&1 != 0 { // serial number 0 cannot be revoked
		return errDamaged
	}
	c.bitmaps = append(c.bitmaps, serialBitmap{offset, bytes.Clone(set)})
	return nil
}

// checkExtension returns an error if the KRL must not be used without support for an extension. No extension is
// supported.
func checkExtension(section cryptobyte.String) error {
	var name, content cryptobyte.String
	var critical uint8
	if !readString(&section, &name) || !section.ReadUint8(&critical) || !readString(&section, &content) ||
		!section.Empty() {
		return errDamaged
	}
	if critical != 0 {
		return fmt.Errorf("the KRL has the unknown critical extension %.60q", string(name))
	}
	return nil
}

// eachString calls f with every string of a section.
func eachString(section cryptobyte.String, f func([]byte) error) error {
	for !section.Empty() {
		var s cryptobyte.String
		if !readString(&section, &s) {
			return errDamaged
		}
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

// readString reads a string in SSH wire format: its length in 4 bytes, then its bytes.
func readString(r *cryptobyte.String, out *cryptobyte.String) bool {
	var n uint32
	if !r.ReadUint32(&n) || uint64(n) > uint64(len(*r)) {
		return false
	}
	return r.ReadBytes((*[]byte)(out), int(n))
}
