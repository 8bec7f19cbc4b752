package acl

import (
	"crypto/rand"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/krl"
	"nomadctld/internal/testenv/keygentest"
)

// valid is the validity of the certificates in these tests. The time in proofs is in its middle.
var valid = []string{"-V", "20260601000000:20260602000000"}

// newCAs creates the keys ca, other, evil (CAs), a and b.
func newCAs(t *testing.T) keygentest.Dir {
	t.Helper()
	dir := keygentest.New(t)
	dir.NewKeys("ca", "other", "evil", "a", "b")
	return dir
}

// certRules trusts ca. ann may use certificates, bob may not, and the principal oncall has a group.
func certRules(t *testing.T, dir keygentest.Dir) Rules {
	t.Helper()
	return Rules{
		CAs: []ssh.PublicKey{dir.Public("ca")},
		Accounts: []Account{
			{User: User{Login: "ann", Groups: groups}, Certificates: true},
			{User: User{Login: "bob", Groups: groups}, Keys: keysOf(t, dir.Line("b"))},
			{User: User{Login: "carl"}, Certificates: true},
			{
				User: User{Login: "dora", Groups: groups},
				Keys: keysOf(t, `cert-authority,principals="dora,ci",no-pty,from="192.0.2.0/24",expiry-time="20260601180000" `+
					dir.Line("other")),
			},
			{User: User{Login: "eva", Groups: groups}, Keys: keysOf(t, `cert-authority,command="ps" `+dir.Line("other"))},
		},
		Principals: map[string][]Group{
			"oncall": {{Name: "oncall", Prefixes: []string{"p-"}, Rights: []string{"ps"}}},
			"x@y":    {{Name: "oncall", Prefixes: []string{"p-"}, Rights: []string{"ps"}}},
		},
	}
}

// TestFindCertificate has the certificates that ssh-keygen can create, good and bad.
func TestFindCertificate(t *testing.T) {
	t.Parallel()
	dir := newCAs(t)
	rules := certRules(t, dir)
	for _, tc := range []struct {
		name, login, ca string
		args            []string
		want            string   // the reason of the refusal; "" if it is accepted
		groups          []string // of the login
	}{
		{"user of the file", "ann", "ca", []string{"-n", "ann"}, "", []string{"team1"}},
		{"second principal", "ann", "ca", []string{"-n", "x,ann"}, "", []string{"team1"}},
		{"user of the file on call", "ann", "ca", []string{"-n", "ann,oncall"}, "", []string{"team1", "oncall"}},
		{"user without groups on call", "carl", "ca", []string{"-n", "carl,oncall"}, "", []string{"oncall"}},
		{"nobody's name, on call", "zoe", "ca", []string{"-n", "zoe,oncall"}, "", []string{"oncall"}},
		{"the principal as the login", "oncall", "ca", []string{"-n", "oncall"}, "", []string{"oncall"}},
		{"the user's own CA", "dora", "other", []string{"-n", "ci"}, "", []string{"team1"}},
		{"forever", "ann", "ca", []string{"-V", "always:forever"}, "", []string{"team1"}},

		{"expired", "ann", "ca", []string{"-V", "20260501:20260601"}, "expired at 2026-06-01T00:00:00Z", nil},
		{"expires now", "ann", "ca", []string{"-V", "20260501:20260601120000"}, "expired at 2026-06-01T12:00:00Z", nil},
		{
			"not yet valid", "ann", "ca",
			[]string{"-V", "20260602:20260603"},
			"not valid before 2026-06-02T00:00:00Z", nil,
		},
		{"wrong CA", "ann", "evil", nil, "is signed by an unknown CA, SHA256:", nil},
		{"CA of another user", "ann", "other", nil, "is signed by an unknown CA, SHA256:", nil},
		{
			"wrong principal", "ann", "ca",
			[]string{"-n", "bob,eve"},
			`"ann" is not a principal of the certificate, which has "bob", "eve"`, nil,
		},
		{"no principals", "ann", "ca", []string{"-n", ""}, "has no principals", nil},
		{"host certificate", "ann", "ca", []string{"-h"}, "is for hosts, not for users", nil},
		{
			"user without cert = true", "bob", "ca",
			[]string{"-n", "bob,oncall"},
			"does not allow certificates (cert = true)", nil,
		},
		{"login that is not a principal", "zoe", "ca", []string{"-n", "oncall"}, `"zoe" is not a principal`, nil},
		{"principal without groups", "zoe", "ca", []string{"-n", "zoe"}, "the user is in no prefix group", nil},
		{"login that is not valid", "x@y", "ca", []string{"-n", "x@y"}, "no such user", nil},
		{
			"unknown option", "ann", "ca",
			[]string{"-O", "critical:shiny\x1b=1"},
			`unknown critical option "shiny\x1b"`, nil,
		},
		{"verify-required", "ann", "ca", []string{"-O", "verify-required"}, "(verify-required)", nil},
		{"empty force-command", "ann", "ca", []string{"-O", "critical:force-command= "}, "force-command is empty", nil},
		{
			"source address", "ann", "ca",
			[]string{"-O", "source-address=192.0.2.0/24,10.0.0.0/8"},
			"",
			[]string{"team1"},
		},
		{"other source address", "ann", "ca", []string{"-O", "source-address=10.0.0.0/8"}, "(source-address)", nil},
		{
			"bad source address", "ann", "ca",
			[]string{"-O", "critical:source-address=192.0.2.7,gw"},
			`source-address "gw" is not`, nil,
		},
		{"empty source address", "ann", "ca", []string{"-O", "critical:source-address="}, "damaged or forged", nil},
		{"unknown extension", "ann", "ca", []string{"-O", "extension:login@github.com=ann"}, "", []string{"team1"}},

		{"the user's key as the CA", "bob", "b", []string{"-n", "bob"}, "is signed by an unknown CA, SHA256:", nil},
		{"own CA, wrong principal", "dora", "other", []string{"-n", "ann"}, `"dora" is not a principal`, nil},
		{"own CA, expired", "dora", "other", []string{"-n", "ci", "-V", "20260501:20260601"}, "expired at", nil},
		{"own CA grants no principal groups", "dora", "other", []string{"-n", "ci,oncall"}, "", []string{"team1"}},
		{
			"own CA, other command", "eva", "other",
			[]string{"-n", "eva", "-O", "force-command=stop x"},
			"differs from the command=", nil,
		},
		{
			"own CA, same command", "eva", "other",
			[]string{"-n", "eva", "-O", "force-command=ps"},
			"",
			[]string{"team1"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := keygentest.In(t, dir.Path)
			dir.Sign(tc.ca, "a", "cert", append(slices.Clone(valid), tc.args...)...)
			login, err := NewDirectory(rules).Find(proof(tc.login, dir, "cert"))
			switch {
			case tc.want == "" && err != nil:
				t.Fatalf("got %v, want it accepted", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Fatalf("got %v, want an error with %q", err, tc.want)
			}
			var names []string
			for _, g := range login.User.Groups {
				names = append(names, g.Name)
			}
			if !slices.Equal(names, tc.groups) || tc.want == "" && login.User.Login != tc.login {
				t.Errorf("got %q in groups %q, want %q in %q", login.User.Login, names, tc.login, tc.groups)
			}
		})
	}
}

func TestFindCertificate_Permits(t *testing.T) {
	t.Parallel()
	dir := newCAs(t)
	d := NewDirectory(certRules(t, dir))
	dir.Sign("ca", "a", "all", valid...)
	dir.Sign("ca", "a", "none", append([]string{"-O", "clear", "-O", "force-command=ps p-team1-web"}, valid...)...)
	dir.Sign("other", "a", "own", append([]string{"-n", "dora"}, valid...)...)
	dir.Sign("other", "a", "command", append([]string{"-n", "eva"}, valid...)...)
	end := time.Date(2026, 6, 2, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		login, cert, noTerminal, noForwarding, command string
		expires                                        time.Time
	}{
		{"ann", "all", "", "", "", end},
		{"ann", "none", "no permit-pty", "no permit-port-forwarding", "ps p-team1-web", end},
		{"dora", "own", "no-pty in the keys file", "", "", time.Date(2026, 6, 1, 18, 0, 0, 0, time.UTC)},
		{"eva", "command", "", "may only run one command", "ps", end},
	} {
		login, err := d.Find(proof(tc.login, dir, tc.cert))
		if err != nil {
			t.Errorf("%s: %v", tc.cert, err)
			continue
		}
		command := ""
		if login.Command != nil {
			command = *login.Command
		}
		if !contains(login.NoTerminal, tc.noTerminal) || !contains(login.NoForwarding, tc.noForwarding) ||
			command != tc.command || !login.Expires.Equal(tc.expires) {
			t.Errorf("%s: got %+v with command %q, want %+v", tc.cert, login, command, tc)
		}
	}
	far := proof("dora", dir, "own")
	far.Remote = netip.MustParseAddr("10.0.0.1")
	if _, err := d.Find(far); err == nil || !strings.Contains(err.Error(), "from= in the keys file") {
		t.Errorf("from elsewhere: got %v", err)
	}
}

// contains reports whether text contains part, or both are empty.
func contains(text, part string) bool {
	return strings.Contains(text, part) && (part != "" || text == "")
}

func TestFindCertificate_Revoked(t *testing.T) {
	t.Parallel()
	dir := newCAs(t)
	dir.Sign("ca", "a", "cert", append([]string{"-z", "5"}, valid...)...)
	for _, tc := range []struct {
		name string
		list []byte
		want string
	}{
		{"other serial", dir.Revoke("ca", "serial: 4", "serial: 6"), ""},
		{"serial", dir.Revoke("ca", "serial: 5"), "the certificate's serial number 5 is revoked"},
		{"key ID", dir.Revoke("ca", "id: id-cert"), "the certificate's key ID is revoked"},
		{"key", []byte(dir.Line("a")), "the certificate's key is revoked"},
		{"CA", []byte(dir.Line("ca")), "the CA's key is revoked"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rules := certRules(t, dir)
			var err error
			if rules.Revoked, err = krl.Parse(tc.list); err != nil {
				t.Fatal(err)
			}
			_, err = NewDirectory(rules).Find(proof("ann", dir, "cert"))
			if err == nil && tc.want != "" || err != nil && err.Error() != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestFindCertificate_MaxValidity(t *testing.T) {
	t.Parallel()
	dir := newCAs(t)
	dir.Sign("ca", "a", "day", valid...)
	dir.Sign("ca", "a", "always", "-V", "always:20260602")
	dir.Sign("ca", "a", "forever", "-V", "20260601:forever")
	for _, tc := range []struct {
		cert  string
		limit time.Duration
		want  string
	}{
		{"day", 0, ""},
		{"day", 24 * time.Hour, ""},
		{"day", 24*time.Hour - time.Second, "valid for more than auth.maxvalidity, which is 23h59m59s"},
		{"always", 24 * time.Hour, "valid for more than auth.maxvalidity"},
		{"forever", 24 * time.Hour, "never expires, but auth.maxvalidity is 24h0m0s"},
	} {
		rules := certRules(t, dir)
		rules.MaxValidity = tc.limit
		_, err := NewDirectory(rules).Find(proof("ann", dir, tc.cert))
		if err == nil && tc.want != "" || err != nil && (tc.want == "" || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s with %s: got %v, want %q", tc.cert, tc.limit, err, tc.want)
		}
	}
}

// TestFindCertificate_Forged has certificates that ssh-keygen does not create.
func TestFindCertificate_Forged(t *testing.T) {
	t.Parallel()
	dir := newCAs(t)
	ca := dir.Signer("ca")
	dir.Run("-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "rsa")
	dir.Run("-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", "weak")
	rules := certRules(t, dir)
	rules.CAs = append(rules.CAs, dir.Public("rsa"), dir.Public("weak"))
	rsaCA := dir.Signer("rsa").(ssh.AlgorithmSigner)
	sign := func(t *testing.T, signer ssh.Signer, change func(*ssh.Certificate)) *ssh.Certificate {
		t.Helper()
		cert := &ssh.Certificate{
			Key: dir.Public("a"), CertType: ssh.UserCert, KeyId: "x", ValidPrincipals: []string{"ann"},
			ValidAfter: uint64(noon.Unix() - 60), ValidBefore: uint64(noon.Unix() + 60),
		}
		change(cert)
		if err := cert.SignCert(rand.Reader, signer); err != nil {
			t.Fatal(err)
		}
		return cert
	}
	sha1, err := ssh.NewSignerWithAlgorithms(rsaCA, []string{ssh.KeyAlgoRSA})
	if err != nil {
		t.Fatal(err)
	}
	skKey := securityKey(t)
	none := func(*ssh.Certificate) {}
	for _, tc := range []struct {
		name string
		cert *ssh.Certificate
		want string
	}{
		{"good", sign(t, ca, none), ""},
		{"good with RSA", sign(t, rsaCA, none), ""},
		{"security key", sign(t, ca, func(c *ssh.Certificate) { c.Key = skKey }), ""},
		{"changed after signing", changed(sign(t, ca, none), func(c *ssh.Certificate) { c.Serial = 7 }), "damaged or forged"},
		{
			"signed by another key",
			changed(sign(t, dir.Signer("evil"), none), func(c *ssh.Certificate) { c.SignatureKey = ca.PublicKey() }),
			"damaged or forged",
		},
		{"SHA-1", sign(t, sha1, none), "signed the certificate with ssh-rsa, which is no longer safe"},
		{"weak CA", sign(t, dir.Signer("weak"), none), "the CA's key is an RSA key with fewer than 2048 bits"},
		{
			"weak key",
			sign(t, ca, func(c *ssh.Certificate) { c.Key = dir.Public("weak") }),
			"the key is an RSA key with fewer than 2048 bits",
		},
		{"unknown type", sign(t, ca, func(c *ssh.Certificate) { c.CertType = 3 }), "unknown type 3"},
		{
			"empty principal",
			changed(sign(t, ca, none), func(c *ssh.Certificate) { c.ValidPrincipals = []string{"ann", ""} }),
			"empty principal",
		},
		{
			"zero byte",
			sign(t, ca, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"ann", "ann\x00"} }),
			"contains a zero byte",
		},
		{
			"257 principals",
			sign(t, ca, func(c *ssh.Certificate) { c.ValidPrincipals = slices.Repeat([]string{"ann"}, 257) }),
			"more than 256 principals",
		},
		{
			"no touch of a security key",
			sign(t, ca, func(c *ssh.Certificate) { c.Key = skKey; c.Extensions = map[string]string{noTouchRequired: ""} }),
			"waives the touch",
		},
		{"no touch of another key", sign(t, ca, func(c *ssh.Certificate) {
			c.Extensions = map[string]string{noTouchRequired: ""}
		}), ""},
		{"start beyond 63 bits", sign(t, ca, func(c *ssh.Certificate) { c.ValidAfter = 1 << 63 }), "damaged or forged"},
		{"end beyond 63 bits", sign(t, ca, func(c *ssh.Certificate) { c.ValidBefore = 1 << 63 }), "damaged or forged"},
		{"start after end", sign(t, ca, func(c *ssh.Certificate) { c.ValidBefore = c.ValidAfter - 1 }), "damaged or forged"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewDirectory(rules).Find(Proof{Login: "ann", Key: string(tc.cert.Marshal()), Remote: home, Time: noon})
			if err == nil && tc.want != "" || err != nil && (tc.want == "" || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func changed(cert *ssh.Certificate, change func(*ssh.Certificate)) *ssh.Certificate {
	change(cert)
	return cert
}

// securityKey returns a public key like that of a FIDO security key.
func securityKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	key, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, make([]byte, 32), "ssh:"}))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestFindCertificate_Factors(t *testing.T) {
	t.Parallel()
	dir := newCAs(t)
	rules := certRules(t, dir)
	group := groups[0]
	group.Require = map[string][]Factor{"stop": {FactorCertificate}, "ps": {FactorSecurityKey}}
	rules.Accounts[0].Groups = []Group{group}
	dir.Sign("ca", "a", "cert", valid...)
	login, err := NewDirectory(rules).Find(proof("ann", dir, "cert"))
	if err != nil || !login.User.May("stop") || login.User.May("ps") {
		t.Errorf("a certificate: got %+v, %v", login.User, err)
	}
}

// FuzzFind checks that no key or certificate makes Find panic or logs anybody in.
func FuzzFind(f *testing.F) {
	dir := keygentest.New(f)
	dir.NewKeys("ca", "evil", "a")
	dir.Sign("ca", "a", "cert", valid...)
	dir.Sign("evil", "a", "evilcert", valid...)
	if err := os.Remove(filepath.Join(dir.Path, "ca")); err != nil {
		f.Fatal(err)
	}
	d := NewDirectory(Rules{
		CAs:      []ssh.PublicKey{dir.Public("ca")},
		Accounts: []Account{{User: User{Login: "ann", Groups: groups}, Certificates: true}},
	})
	good := string(dir.Public("cert").Marshal())
	for _, name := range []string{"cert", "evilcert", "a", "ca"} {
		f.Add(dir.Public(name).Marshal())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := d.Find(Proof{Login: "ann", Key: string(data), Remote: home, Time: noon})
		if err == nil && string(data) != good {
			key, _ := ssh.ParsePublicKey(data)
			if string(key.Marshal()) != good {
				t.Errorf("a changed certificate was accepted: %x", data)
			}
		}
	})
}
