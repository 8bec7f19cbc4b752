package sshd

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/internal/krl"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/keygentest"
)

// issuedCertificates are files in testdata/certificates. The CA of PROGRAM is in PROGRAM_ca.pub.
var issuedCertificates = []struct {
	program, name, login, keyID string
	serial                      uint64
	principals                  []string
	oncall, securityKey         bool // the role team1-oncall, and a FIDO key
	validity                    time.Duration
}{
	{
		"keygen", "ecdsa_sk", "ann", "ann ecdsa-sk", 1<<64 - 1,
		[]string{"ann", "team1-oncall"},
		true, true, 3652 * 24 * time.Hour,
	},
	{
		"keygen", "ed25519_sk", "ann", "ann ed25519-sk", 1<<64 - 1,
		[]string{"ann", "team1-oncall"},
		true, true, 3652 * 24 * time.Hour,
	},
	{
		"openbao", "user", "ann",
		"vault-userpass-ann-866c384229ac6c68f944d2c6a7c72875b861f1e9961e234376078850180bce33", 14247372964795901546,
		[]string{"ann", "team1-oncall"},
		true, false, 8*time.Hour + 30*time.Second,
	},
	{
		"openbao", "ecdsa_sk", "ann",
		"vault-userpass-ann-3648a90601ac479a7ed416dbd9d57b5875d4c74e448d1712f17f2ff64e1ed5c1", 6038047933332033639,
		[]string{"ann"},
		false, true, 8*time.Hour + 30*time.Second,
	},
	{
		"step", "user", "ann", "ann@example.com", 731293692855043546,
		[]string{"ann", "team1-oncall"},
		true, false, 24*time.Hour + time.Minute,
	},
	{
		"step", "ed25519_sk", "annb", "ann.b@example.com", 15037722450241421731,
		[]string{"annb", "ann.b", "ann.b@example.com"},
		false, true, 16*time.Hour + time.Minute,
	},
}

// TestCertificate_OtherPrograms checks certificates that ssh-keygen, OpenBao and step-ca have issued: the gateway
// accepts each one while it is valid, reports its serial number and key ID, and refuses it after its revocation.
func TestCertificate_OtherPrograms(t *testing.T) {
	t.Parallel()
	for _, tc := range issuedCertificates {
		t.Run(tc.program+"/"+tc.name, func(t *testing.T) {
			t.Parallel()
			ca := testenv.ReadFile(t, filepath.Join("testdata", "certificates", tc.program+"_ca.pub"))
			line := testenv.ReadFile(t, filepath.Join("testdata", "certificates", tc.program+"_"+tc.name+".pub"))
			cert := parsePublic(t, line).(*gossh.Certificate)
			wire := string(cert.Marshal())
			fingerprint, data := describeKey(wire)
			if fingerprint != gossh.FingerprintSHA256(cert.Key) || data.KeyID != tc.keyID || data.Serial != tc.serial ||
				data.CA != gossh.FingerprintSHA256(parsePublic(t, ca)) || !slices.Equal(data.Principals, tc.principals) {
				t.Errorf("got the key %s and %+v, want %+v", fingerprint, data, tc)
			}
			start, end := time.Unix(int64(cert.ValidAfter), 0), time.Unix(int64(cert.ValidBefore), 0)
			if got := end.Sub(start); got != tc.validity {
				t.Errorf("valid for %s, want %s", got, tc.validity)
			}

			rules := acl.Rules{
				CAs: []gossh.PublicKey{parsePublic(t, ca)}, MaxValidity: tc.validity,
				Accounts: []acl.Account{{User: acl.User{Login: tc.login, Groups: []acl.Group{{
					Name: "own", Rights: []string{"ps", "stop"}, Require: map[string][]acl.Factor{"stop": {acl.FactorSecurityKey}},
				}}}, Certificates: true}},
				Principals: map[string][]acl.Group{"team1-oncall": {{Name: "oncall", Rights: []string{"restart"}}}},
			}
			find := func(login string, at time.Time) (acl.Login, error) {
				from := netip.MustParseAddr("192.0.2.1")
				return acl.NewDirectory(rules).Find(acl.Proof{Login: login, Key: wire, Remote: from, Time: at})
			}
			login, err := find(tc.login, start)
			if err != nil {
				t.Fatal(err)
			}
			may := login.User.May
			if !may("ps") || may("stop") != tc.securityKey || may("restart") != tc.oncall || !login.Expires.Equal(end) ||
				login.NoTerminal != "" || login.NoForwarding != "" {
				t.Errorf("got %+v, want %+v", login, tc)
			}

			refused := func(want, login string, at time.Time) {
				t.Helper()
				if _, err := find(login, at); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want an error with %q", err, want)
				}
			}
			refused("not valid before", tc.login, start.Add(-time.Second))
			refused("expired at", tc.login, end)
			refused(`"mallory" is not a principal of the certificate`, "mallory", start)
			rules.MaxValidity -= time.Second
			refused("valid for more than auth.maxvalidity", tc.login, start)
			rules.MaxValidity = 0
			dir := keygentest.New(t)
			dir.Write("ca.pub", ca)
			serial := strconv.FormatUint(tc.serial, 10)
			if rules.Revoked, err = krl.Parse(dir.Revoke("ca", "serial: "+serial)); err != nil {
				t.Fatal(err)
			}
			refused("serial number "+serial+" is revoked", tc.login, start)
		})
	}
}

// parsePublic parses a key or certificate in the format of .pub files.
func parsePublic(t *testing.T, line string) gossh.PublicKey {
	t.Helper()
	key, _, _, _, err := gossh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return key
}
