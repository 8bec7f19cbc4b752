package sshd

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/internal/audit"
	"nomadctld/internal/authkeys"
	"nomadctld/internal/testenv/keygentest"
)

// securityKey signs like a FIDO security key with the application ssh: and these flags.
type securityKey struct {
	private ed25519.PrivateKey
	public  gossh.PublicKey
	flags   byte
}

const (
	touched  = 0x01 // somebody has touched the key
	verified = 0x04 // the PIN was entered
)

func newSecurityKey(t *testing.T) securityKey {
	t.Helper()
	private := newPrivateKey(t)
	public, err := gossh.ParsePublicKey(gossh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{gossh.KeyAlgoSKED25519, private.Public().(ed25519.PublicKey), "ssh:"}))
	if err != nil {
		t.Fatal(err)
	}
	return securityKey{private, public, touched}
}

func (k securityKey) withFlags(flags byte) securityKey {
	k.flags = flags
	return k
}

func (k securityKey) PublicKey() gossh.PublicKey { return k.public }

func (k securityKey) Sign(_ io.Reader, data []byte) (*gossh.Signature, error) {
	application, message := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	rest := binary.BigEndian.AppendUint32([]byte{k.flags}, 7) // a counter
	signature := ed25519.Sign(k.private, slices.Concat(application[:], rest, message[:]))
	return &gossh.Signature{Format: k.public.Type(), Blob: signature, Rest: rest}, nil
}

// TestSecurityKey_MustBeTouched logs in with a security key, and with a certificate for it that waives the touch.
func TestSecurityKey_MustBeTouched(t *testing.T) {
	t.Parallel()
	key, dir := newSecurityKey(t), keygentest.New(t)
	dir.NewKeys("ca")
	certify := func(extensions map[string]string) *gossh.Certificate {
		cert := &gossh.Certificate{
			Key: key.public, CertType: gossh.UserCert, ValidPrincipals: []string{"ann"},
			ValidBefore: uint64(time.Now().Add(time.Hour).Unix()), Permissions: gossh.Permissions{Extensions: extensions},
		}
		if err := cert.SignCert(rand.Reader, dir.Signer("ca")); err != nil {
			t.Fatal(err)
		}
		return cert
	}
	s := startServerWith(t, Limits{}, whoHandler, func(s *Server) {
		s.Settings.Users = acl.NewDirectory(acl.Rules{
			CAs: []gossh.PublicKey{dir.Public("ca")},
			Accounts: []acl.Account{{
				User: acl.User{Login: "ann", Groups: []acl.Group{{}}}, Keys: []authkeys.Key{{Public: key.public}},
				Certificates: true,
			}},
		})
	})
	cert := certify(nil)
	waiving := certify(map[string]string{"no-touch-required": ""})
	for _, tc := range []struct {
		name  string
		flags byte
		cert  *gossh.Certificate
		want  bool
	}{
		{"touched", touched, nil, true},
		{"touched, with PIN", touched | verified, nil, true},
		{"not touched", 0, nil, false},
		{"only PIN", verified, nil, false},
		{"certificate, touched", touched, cert, true},
		{"certificate, not touched", 0, cert, false},
		{"waiving certificate, not touched", 0, waiving, false},
		{"waiving certificate, touched", touched, waiving, false},
	} {
		signer := gossh.Signer(key.withFlags(tc.flags))
		if tc.cert != nil {
			var err error
			if signer, err = gossh.NewCertSigner(tc.cert, signer); err != nil {
				t.Fatal(err)
			}
		}
		client, err := s.dial(t, "ann", signer)
		if (err == nil) != tc.want {
			t.Errorf("%s: got %v, want success: %v", tc.name, err, tc.want)
		}
		if err == nil {
			client.Close()
		}
	}
}

// TestSecurityKey_UntouchedEvent checks that a key that needs no touch is not reported as a forged signature.
func TestSecurityKey_UntouchedEvent(t *testing.T) {
	t.Parallel()
	key := newSecurityKey(t)
	forged := newSecurityKey(t)
	forged.public = key.public
	for _, tc := range []struct {
		name, level, want string
		signer            gossh.Signer
	}{
		{"not touched", "INFO", "login failed: the security key was not touched (no-touch-required)", key.withFlags(0)},
		{"forged", "WARN", "login with a forged signature: ssh: signature did not verify", forged},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &recorder{}
			s := startServerWith(t, Limits{}, whoHandler, func(s *Server) {
				s.Settings.Users = acl.NewDirectory(acl.Rules{Accounts: []acl.Account{{
					User: acl.User{Login: "ann", Groups: []acl.Group{{}}}, Keys: []authkeys.Key{{Public: key.public}},
				}}})
				s.Log, s.Record = slog.New(slog.NewTextHandler(w, nil)), w.record
			})
			if _, err := s.dial(t, "ann", tc.signer); err == nil {
				t.Fatal("login succeeded")
			}
			eventually(t, "the event is recorded", func() bool { return len(w.eventsOf(audit.LoginRefused)) == 1 })
			e := w.eventsOf(audit.LoginRefused)[0]
			if e.Error != tc.want || e.User != "ann" || e.Key != gossh.FingerprintSHA256(key.public) ||
				!strings.Contains(w.text(), "level="+tc.level) {
				t.Errorf("got %+v and the log %s, want %s %s", e, w.text(), tc.level, tc.want)
			}
		})
	}
}
