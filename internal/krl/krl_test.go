package krl

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/testenv/keygentest"
)

// queryAll returns the output of ssh-keygen -Q: a line "FILE: REVOKED" or "FILE: ok" for each key. It removes the
// comments of the keys.
func queryAll(dir string, names []string) string {
	args := []string{"-Q", "-f", "krl"}
	for _, name := range names {
		args = append(args, name+".pub")
	}
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput() // it fails if a key is revoked
	return regexp.MustCompile(` \([^)]*\)`).ReplaceAllString(string(out), "")
}

// TestCheck_AgreesWithSSHKeygen compares Check with ssh-keygen -Q for each kind of section.
func TestCheck_AgreesWithSSHKeygen(t *testing.T) {
	t.Parallel()
	dir := keygentest.New(t)
	dir.NewKeys("ca", "other", "ann", "bob")
	var all []string
	for _, serial := range []int{0, 1, 2, 5, 9, 50, 99, 100, 101, 200, 263, 264, 1000} {
		name := "serial" + strconv.Itoa(serial)
		dir.Sign("ca", "ann", name, "-z", strconv.Itoa(serial))
		all = append(all, name)
	}
	dir.Sign("other", "ann", "other5", "-z", "5")
	dir.Sign("ca", "bob", "bob7", "-z", "7")
	all = append(all, "other5", "bob7", "ann", "bob", "ca")

	var bits []string // enough near each other for a bitmap
	for i := 200; i < 264; i += 3 {
		bits = append(bits, "serial: "+strconv.Itoa(i))
	}
	keyLine := dir.Line("ann")
	sha256Line := "hash: " + ssh.FingerprintSHA256(dir.Public("bob"))
	for _, tc := range []struct {
		name  string
		ca    string
		lines []string
		want  []string // the revoked ones
	}{
		{"nothing", "", nil, nil},
		{"serials", "ca", []string{"serial: 1", "serial: 5"}, []string{"serial1", "serial5"}},
		{
			"range", "ca",
			[]string{"serial: 2-100"},
			[]string{"serial2", "serial5", "serial9", "serial50", "serial99", "serial100", "bob7"},
		},
		{"bitmap", "ca", bits, []string{"serial200", "serial263"}},
		{
			"serial of the largest size", "ca",
			[]string{"serial: 1000-18446744073709551615"},
			[]string{"serial1000"},
		},
		{"key ID", "ca", []string{"id: id-serial9", "id: id-other5"}, []string{"serial9"}},
		{"another CA", "other", []string{"serial: 5"}, []string{"other5"}},
		{"key", "", []string{"key: " + keyLine}, []string{
			"serial0", "serial1", "serial2", "serial5", "serial9", "serial50",
			"serial99", "serial100", "serial101", "serial200", "serial263", "serial264", "serial1000", "other5", "ann",
		}},
		{"SHA-1 fingerprint", "", []string{"sha1: " + keyLine}, []string{
			"serial0", "serial1", "serial2", "serial5",
			"serial9", "serial50", "serial99", "serial100", "serial101", "serial200", "serial263", "serial264", "serial1000",
			"other5", "ann",
		}},
		{"SHA-256 fingerprint", "", []string{sha256Line}, []string{"bob7", "bob"}},
		{
			"CA", "",
			[]string{"key: " + dir.Line("ca")},
			[]string{
				"serial0", "serial1", "serial2", "serial5", "serial9", "serial50", "serial99", "serial100", "serial101",
				"serial200", "serial263", "serial264", "serial1000", "bob7", "ca",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, err := Parse(dir.Revoke(tc.ca, tc.lines...))
			if err != nil {
				t.Fatal(err)
			}
			revoked := map[string]bool{}
			for _, name := range tc.want {
				revoked[name] = true
			}
			if tc.name == "bitmap" && len(list.certs[string(dir.Public("ca").Marshal())].bitmaps) == 0 {
				t.Error("ssh-keygen did not write a bitmap")
			}
			out := queryAll(dir.Path, all)
			for _, name := range all {
				if got := list.Check(dir.Public(name)); (got != "") != revoked[name] {
					t.Errorf("%s: got %q, want revoked: %v", name, got, revoked[name])
				}
				if got := strings.Contains(out, name+".pub: REVOKED"); got != revoked[name] {
					t.Errorf("%s: ssh-keygen -Q reports revoked: %v, want %v", name, got, revoked[name])
				}
			}
		})
	}
}

func TestCheck_Reason(t *testing.T) {
	t.Parallel()
	dir := keygentest.New(t)
	dir.NewKeys("ca", "ann")
	dir.Sign("ca", "ann", "cert", "-z", "5")
	cert, ca, key := dir.Public("cert"), []byte(dir.Read("ca.pub")), []byte(dir.Read("ann.pub"))
	for _, tc := range []struct {
		data []byte
		want string
	}{
		{dir.Revoke("ca", "serial: 5"), "the certificate's serial number 5 is revoked"},
		{dir.Revoke("ca", "id: id-cert"), "the certificate's key ID is revoked"},
		{ca, "the CA's key is revoked"},
		{key, "the certificate's key is revoked"},
		{[]byte("# nothing\n\n"), ""},
	} {
		list, err := Parse(tc.data)
		if err != nil {
			t.Fatal(err)
		}
		if got := list.Check(cert); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	var none *List
	if got := none.Check(cert); got != "" {
		t.Errorf("without a list: got %q", got)
	}
}

// TestParse_EveryCA checks a section without a CA key, which ssh-keygen writes for keys of no particular CA.
func TestParse_EveryCA(t *testing.T) {
	t.Parallel()
	dir := keygentest.New(t)
	dir.NewKeys("ca", "ann")
	dir.Sign("ca", "ann", "cert", "-z", "5")
	list, err := Parse(fixture(section(1, str(""), str(""), section(0x20, u64(5)))))
	if err != nil {
		t.Fatal(err)
	}
	if got := list.Check(dir.Public("cert")); got == "" {
		t.Error("a serial number of every CA: got no reason")
	}
}

// These build KRLs that ssh-keygen does not write.
func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func str(s string) []byte        { return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...) }
func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func section(kind byte, parts ...[]byte) []byte {
	return cat([]byte{kind}, str(string(cat(parts...))))
}

// fixture returns a KRL with these sections.
func fixture(sections ...[]byte) []byte {
	header := cat([]byte(magic), []byte{0, 0, 0, 1}, u64(0), u64(0), u64(0), str(""), str(""))
	return cat(append([][]byte{header}, sections...)...)
}

func extension(name string, critical byte) []byte { return cat(str(name), []byte{critical}, str("")) }

// anyCA returns a section with certificates of every CA.
func anyCA(parts ...[]byte) []byte {
	return section(1, append([][]byte{str(""), str("")}, parts...)...)
}

func TestParse_Refuses(t *testing.T) {
	t.Parallel()
	sshCert := func() string {
		dir := keygentest.New(t)
		dir.NewKeys("ca", "ann")
		dir.Sign("ca", "ann", "cert")
		return dir.Read("cert.pub")
	}()
	certKey, _, _, _, err := ssh.ParseAuthorizedKey([]byte(sshCert))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"only the magic":         {[]byte(magic), "damaged"},
		"header cut off":         {fixture()[:30], "damaged"},
		"version 2":              {cat([]byte(magic), []byte{0, 0, 0, 2}), "format version 2"},
		"section cut off":        {fixture(section(2, str("key")))[:50], "damaged"},
		"section too long":       {fixture([]byte{2, 0xff, 0xff, 0xff, 0xff}), "damaged"},
		"unknown section":        {fixture(section(77)), "unknown type 77"},
		"signed":                 {fixture(section(4)), "is signed"},
		"critical extension":     {fixture(section(255, extension("new\x1b", 1))), `critical extension "new\x1b"`},
		"damaged extension":      {fixture(section(255, str("x"))), "damaged"},
		"unknown subsection":     {fixture(anyCA(section(0x30))), "unknown type 0x30"},
		"critical cert option":   {fixture(anyCA(section(0x39, extension("new", 1)))), "critical extension"},
		"serial 0":               {fixture(anyCA(section(0x20, u64(0)))), "damaged"},
		"serial cut off":         {fixture(anyCA(section(0x20, []byte{1, 2}))), "damaged"},
		"range from 0":           {fixture(anyCA(section(0x21, u64(0), u64(5)))), "damaged"},
		"range backwards":        {fixture(anyCA(section(0x21, u64(6), u64(5)))), "damaged"},
		"range with more":        {fixture(anyCA(section(0x21, u64(1), u64(5), u64(6)))), "damaged"},
		"bitmap with serial 0":   {fixture(anyCA(section(0x22, u64(0), str("\x01")))), "damaged"},
		"bitmap negative":        {fixture(anyCA(section(0x22, u64(1), str("\x81")))), "damaged"},
		"bitmap beyond 64 bits":  {fixture(anyCA(section(0x22, u64(1<<64-1), str("\x02")))), "damaged"},
		"short SHA-1":            {fixture(section(3, str("abc"))), "damaged"},
		"short SHA-256":          {fixture(section(5, str("abc"))), "damaged"},
		"CA that is not a key":   {fixture(section(1, str("abc"), str(""))), "damaged or of an unknown type"},
		"CA that is a cert":      {fixture(section(1, str(string(certKey.Marshal())), str(""))), "certificate as a CA"},
		"garbage":                {[]byte("\x00\x01\x02garbage"), "line 1 is not a public key"},
		"text with a wrong line": {[]byte("# ok\nhello\n"), "line 2 is not a public key"},
		"text with a cert":       {[]byte(sshCert), "line 1 is a certificate"},
		"text with options":      {[]byte("restrict " + ed25519Line), "line 1 is not a public key"},
		"short fingerprint":      {[]byte("SHA256:AAAA"), "line 1 is not a complete"},
	} {
		if list, err := Parse(tc.data); err == nil || !strings.Contains(err.Error(), tc.want) || list != nil {
			t.Errorf("%s: got %v, %v, want an error with %q", name, list, err, tc.want)
		}
	}
}

const ed25519Line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKj9vEgQfjWCTcVV/BsCd5Pq8RM5DBMGYYBQIhMRPBZv x\n"

// TestParse_EveryPrefix checks that a file that is cut off anywhere inside a section is refused.
func TestParse_EveryPrefix(t *testing.T) {
	t.Parallel()
	whole := fixture(anyCA(section(0x20, u64(5)), section(0x22, u64(7), str("\x03"))))
	boundary := len(fixture()) // a KRL does not contain its length
	for n := 1; n < len(whole); n++ {
		if _, err := Parse(whole[:n]); err == nil && n != boundary {
			t.Errorf("the first %d of %d bytes: got no error", n, len(whole))
		}
	}
}

func TestParse_SkipsUncriticalExtension(t *testing.T) {
	t.Parallel()
	for _, data := range [][]byte{
		fixture(section(255, extension("new", 0)), section(2, str("key"))),
		fixture(anyCA(section(0x39, extension("new", 0)))),
	} {
		if _, err := Parse(data); err != nil {
			t.Error(err)
		}
	}
}

func TestParse_Text(t *testing.T) {
	t.Parallel()
	dir := keygentest.New(t)
	dir.NewKeys("ann", "bob", "eve")
	list, err := Parse(cat([]byte("# lost laptops\r\n\n"), []byte(dir.Read("ann.pub")),
		[]byte("  "+ssh.FingerprintSHA256(dir.Public("bob"))+" bob's laptop\n")))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ann": "the key is revoked", "bob": "the key is revoked", "eve": ""} {
		if got := list.Check(dir.Public(name)); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// FuzzParse checks that no file makes Parse or Check panic.
func FuzzParse(f *testing.F) {
	dir := keygentest.New(f)
	dir.NewKeys("ca", "ann")
	dir.Sign("ca", "ann", "cert", "-z", "5")
	cert := dir.Public("cert")
	f.Add(dir.Revoke("ca", "serial: 1-10", "serial: 12", "serial: 14", "serial: 16", "id: x"))
	f.Add(dir.Revoke("", "sha1: "+dir.Line("ann")))
	f.Add(fixture(anyCA(section(0x22, u64(7), str("\x03")), section(0x39, extension("x", 0)))))
	f.Add([]byte(ed25519Line))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := Parse(data)
		if (err == nil) != (list != nil) {
			t.Fatalf("got %v and %v", list, err)
		}
		list.Check(cert)
		list.Check(cert.(*ssh.Certificate).Key)
	})
}
