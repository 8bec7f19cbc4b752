package ops

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// Key signs saved definitions, so that a forged file cannot be restored.
type Key [sha256.Size]byte

// keyPurpose separates the key from other keys derived from a host key. Changing it invalidates all saved definitions.
// The word "kept" in it is from an earlier release.
const keyPurpose = "nomadctld kept job definition v1"

// NewKey derives a key from a host key file. It depends only on the private key, not on the comment or format of the
// file.
func NewKey(hostKey []byte) (k Key, err error) {
	parsed, err := ssh.ParseRawPrivateKey(hostKey)
	if err != nil {
		return k, err
	}
	switch private := parsed.(type) {
	case *ed25519.PrivateKey:
		parsed = *private
	case *ecdsa.PrivateKey, *rsa.PrivateKey:
	default:
		return k, fmt.Errorf("a host key of type %T is not supported", private)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(parsed)
	if err != nil {
		return k, err
	}
	derived, err := hkdf.Key(sha256.New, secret, nil, keyPurpose, len(k))
	copy(k[:], derived)
	return k, err
}

// signatureMarker starts the last line of a file, which is the signature of the lines before it.
var signatureMarker = []byte("HMAC-SHA256 ")

// sign returns the content of a file: the record on one line, and its signature on the next.
func sign(record []byte, key Key) []byte {
	line := append(bytes.Clone(record), '\n')
	return fmt.Appendf(line, "%s%x\n", signatureMarker, mac(line, key))
}

func mac(text []byte, key Key) []byte {
	h := hmac.New(sha256.New, key[:])
	h.Write(text)
	return h.Sum(nil)
}

const restoreByHand = `the gateway does not use it; check it, register the job with ` +
	`"head -n 1 FILE | jq .definition | nomad job run -json -", and remove the file`

var (
	errUnsigned = errors.New("not signed: an earlier release wrote it, or the gateway did not write it; " + restoreByHand)
	errForged   = errors.New("the signature does not match: the file was changed, or the host key of the gateway " +
		"that wrote it is not configured; " + restoreByHand)
	errWrongRecord = errors.New("the file was saved for another job or another purpose; " + restoreByHand)
)

// verify returns the record of a file and the index of the key that has signed it.
func verify(content []byte, keys []Key) (record []byte, by int, err error) {
	end := bytes.IndexByte(content, '\n') + 1
	line, signature := content[:end], content[end:]
	if end == 0 || len(signature) == 0 {
		return nil, 0, errUnsigned
	}
	digits, ok := bytes.CutPrefix(bytes.TrimSuffix(signature, []byte("\n")), signatureMarker)
	claimed, err := hex.DecodeString(string(digits))
	if !ok || err != nil {
		return nil, 0, errForged
	}
	for i, key := range keys {
		if hmac.Equal(claimed, mac(line, key)) {
			return line[:end-1], i, nil
		}
	}
	return nil, 0, errForged
}
