package audit

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/escape"
)

func newPublicKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestCertificate_Fields(t *testing.T) {
	t.Parallel()
	ca := newPublicKey(t)
	line, err := escape.JSON(NewCertificate(&ssh.Certificate{
		Key: newPublicKey(t), SignatureKey: ca, Serial: 1<<64 - 1, KeyId: "ann\x1b[2J",
		ValidPrincipals: []string{"ann", "oncall"}, ValidBefore: 1893456000,
	}), "")
	want := `{"serial":"18446744073709551615","key_id":"ann\u001b[2J","ca":"` + ssh.FingerprintSHA256(ca) +
		`","principals":["ann","oncall"],"expires":"2030-01-01T00:00:00Z"}`
	if err != nil || string(line) != want {
		t.Errorf("got %s, %v, want %s", line, err, want)
	}
	if got := NewCertificate(ca); got != nil {
		t.Errorf("a key: got %+v, want nil", got)
	}
}

// TestCertificate_Bounded checks that a client cannot fill the log with a large certificate, and that every time can be
// written.
func TestCertificate_Bounded(t *testing.T) {
	t.Parallel()
	principals := make([]string, 5000)
	for i := range principals {
		principals[i] = strings.Repeat("p", 5000)
	}
	for _, before := range []uint64{0, 1 << 40, 1<<63 - 1, 1 << 63, ssh.CertTimeInfinity} {
		line, err := json.Marshal(NewCertificate(&ssh.Certificate{
			Key: newPublicKey(t), SignatureKey: newPublicKey(t), KeyId: strings.Repeat("x", 1<<20), ValidPrincipals: principals,
			ValidBefore: before,
		}))
		if err != nil || len(line) > 12<<10 {
			t.Errorf("valid before %d: got %d bytes, %v", before, len(line), err)
		}
	}
}
