package authkeys

import (
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	keyA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKj9vEgQfjWCTcVV/BsCd5Pq8RM5DBMGYYBQIhMRPBZv ann@laptop"
	keyB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILtTGtqTrkS8qVbm3t30qWvJM2ZqIM0ENbTzDIvBTe3b"
)

var berlin = time.FixedZone("CET", 3600)

func ptr(s string) *string { return &s }

func TestParse_Options(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		options string
		want    Options
	}{
		{"", Options{}},
		{"restrict ", Options{NoTerminal: true, NoForwarding: true}},
		{"restrict,pty ", Options{NoForwarding: true}},
		{"pty,restrict ", Options{NoTerminal: true, NoForwarding: true}},
		{"RESTRICT,Port-Forwarding ", Options{NoTerminal: true}},
		{"no-pty,no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc ", Options{
			NoTerminal: true, NoForwarding: true,
		}},
		{`command="ps p-team1-web" `, Options{Command: ptr("ps p-team1-web")}},
		{`command="exec ID sh -c \"echo a, b\"",no-pty	`, Options{
			Command: ptr(`exec ID sh -c "echo a, b"`), NoTerminal: true,
		}},
		{`command="a\b" `, Options{Command: ptr(`a\b`)}},
		{`expiry-time="20261231" `, Options{Expires: time.Date(2026, 12, 31, 0, 0, 0, 0, berlin)}},
		{`expiry-time="202612311530Z" `, Options{Expires: time.Date(2026, 12, 31, 15, 30, 0, 0, time.UTC)}},
		{`expiry-time="20261231153059",expiry-time="20270101" `, Options{
			Expires: time.Date(2026, 12, 31, 15, 30, 59, 0, berlin),
		}},
		{`cert-authority `, Options{CertAuthority: true}},
		{`cert-authority,principals="ann,oncall" `, Options{CertAuthority: true, Principals: []string{"ann", "oncall"}}},
	} {
		keys, errs := Parse([]byte("# comment\n\n"+tc.options+keyA+"\r\n"), berlin)
		if len(errs) > 0 || len(keys) != 1 {
			t.Errorf("%q: got %v, %v", tc.options, keys, errs)
			continue
		}
		got := keys[0].Options
		if got.Expires.Equal(tc.want.Expires) {
			got.Expires = tc.want.Expires
		}
		if !reflect.DeepEqual(got, tc.want) || keys[0].Line != 3 {
			t.Errorf("%q: got %+v in line %d, want %+v in line 3", tc.options, got, keys[0].Line, tc.want)
		}
		if got := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(keys[0].Public))); !strings.HasPrefix(keyA, got) {
			t.Errorf("%q: got the key %s", tc.options, got)
		}
	}
}

func TestParse_Refuses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`environment="A=b" ` + keyA:                        "has the option environment, which cannot be enforced",
		`no-touch-required ` + keyA:                        "always requires a touch",
		`verify-required ` + keyA:                          "cannot check that the PIN",
		`permitopen="h:1" ` + keyA:                         "has the option permitopen, which cannot be enforced",
		`permitlisten="1" ` + keyA:                         "has the option permitlisten, which cannot be enforced",
		`tunnel="0" ` + keyA:                               "has the option tunnel, which cannot be enforced",
		`shiny ` + keyA:                                    `unknown option "shiny"`,
		"sh\x1biny " + keyA:                                `unknown option "sh\x1biny"`,
		`c2VjcmV0=x ` + keyA:                               "has an option without quotes",
		`command=ps ` + keyA:                               `the option command without quotes`,
		`command ` + keyA:                                  "command without a value",
		`command="" ` + keyA:                               "empty command=",
		`command="a",command="b" ` + keyA:                  "two command= options",
		`command="a"b ` + keyA:                             `text after the value of the option command`,
		`command="a ` + keyA:                               "without its closing quote",
		`no-pty="x" ` + keyA:                               "no-pty with a value",
		`from="*.example.com" ` + keyA:                     "does not look up host names",
		`from="gw" ` + keyA:                                "does not look up host names",
		`from="10.0.0.1/8" ` + keyA:                        "does not look up host names",
		`from="" ` + keyA:                                  "does not look up host names",
		`from="10.0.0.1",from="10.0.0.2" ` + keyA:          "two from= options",
		`expiry-time="tomorrow" ` + keyA:                   "expiry-time= that is not",
		`expiry-time="20261332" ` + keyA:                   "expiry-time= that is not",
		`principals="ann" ` + keyA:                         "principals= without cert-authority",
		`cert-authority,principals="" ` + keyA:             "empty name in principals=",
		`no-pty`:                                           "is not an SSH key",
		`no-pty,`:                                          "is not an SSH key",
		`no-pty ssh-ed25519`:                               "is not an SSH key",
		`no-pty no-pty ` + keyA:                            "is not an SSH key",
		`hello world`:                                      "is not an SSH key",
		strings.Replace(keyA, "ssh-ed25519", "ssh-rsa", 1): "is not an SSH key",
		`command="a"`:                                      "has options but no SSH key",
		weakKey(t):                                         "fewer than 2048 bits",
	} {
		keys, errs := Parse([]byte(keyB+"\n"+line), time.UTC)
		if keys != nil || len(errs) != 1 || errs[0].Line != 2 || !strings.Contains(errs[0].Error(), want) {
			t.Errorf("%q: got %v and %v, want one error in line 2 with %q", line, keys, errs, want)
		}
	}
}

func weakKey(t *testing.T) string {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(key))
}

// TestParse_ReportsEveryLine checks that a file with an error has no keys, and that each error is reported.
func TestParse_ReportsEveryLine(t *testing.T) {
	t.Parallel()
	keys, errs := Parse([]byte("x\n"+keyA+"\nshiny "+keyA), time.UTC)
	if keys != nil || len(errs) != 2 || errs[0].Line != 1 || errs[1].Line != 3 {
		t.Errorf("got %v and %v", keys, errs)
	}
}

func TestParse_RefusesCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, args := range [][]string{
		{"-q", "-t", "ed25519", "-N", "", "-f", "ca"},
		{"-q", "-t", "ed25519", "-N", "", "-f", "ann"},
		{"-q", "-s", "ca", "-I", "x", "-n", "ann", "ann.pub"},
	} {
		cmd := exec.Command("ssh-keygen", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	cert, err := os.ReadFile(filepath.Join(dir, "ann-cert.pub"))
	if err != nil {
		t.Fatal(err)
	}
	for _, options := range []string{"", "cert-authority "} {
		_, errs := Parse(append([]byte(options), cert...), time.UTC)
		if len(errs) != 1 || !strings.Contains(errs[0].Reason, "is a certificate, not a key") {
			t.Errorf("%q: got %v", options, errs)
		}
	}
}

func TestSources_Allow(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		list    string
		allowed []string
		refused []string
	}{
		{"10.0.0.0/8", []string{"10.1.2.3", "::ffff:10.1.2.3"}, []string{"11.0.0.1", "::1", ""}},
		{"192.0.2.7,2001:db8::/32", []string{"192.0.2.7", "2001:db8::9", "2001:db8::9%eth0"}, []string{"192.0.2.8"}},
		{"10.1.*,10.2.3.?", []string{"10.1.2.3", "10.2.3.4"}, []string{"10.2.3.44", "110.1.2.3"}},
		{"10.0.0.0/8,!10.6.6.6", []string{"10.1.1.1"}, []string{"10.6.6.6"}},
		{"!10.6.6.6,10.0.0.0/8", []string{"10.1.1.1"}, []string{"10.6.6.6"}},
		{"!10.6.6.6", nil, []string{"10.6.6.6", "10.1.1.1"}},
		{"2001:DB8:*", []string{"2001:db8::1"}, []string{"2001:db9::1"}},
		{"*", []string{"10.1.1.1", "::1"}, []string{""}},
	} {
		sources, err := parseSources(tc.list)
		if err != nil {
			t.Errorf("%s: %v", tc.list, err)
			continue
		}
		for _, text := range append(tc.allowed, tc.refused...) {
			address, _ := netip.ParseAddr(text) // "" is the zero Addr: unknown
			want := len(tc.allowed) > 0 && strings.Contains(strings.Join(tc.allowed, " ")+" ", text+" ") && text != ""
			if got := sources.Allow(address); got != want {
				t.Errorf("%s from %q: got %v, want %v", tc.list, text, got, want)
			}
		}
	}
	var all *Sources
	if !all.Allow(netip.Addr{}) {
		t.Error("without a list: an address is refused")
	}
}

func TestParseNetwork(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "192.0.2.7": "192.0.2.7/32", "::1": "::1/128", "::ffff:10.0.0.1": "10.0.0.1/32",
		"10.0.0.1/8": "the network is 10.0.0.0/8", "x": "is not an address", "": "is not an address",
		"10.0.0.0/33":  "is not an",
		"fe80::1%eth0": "is not an address", "::ffff:10.0.0.0/104": "IPv4 network in IPv6 notation",
	} {
		got, err := ParseNetwork(text)
		if err == nil && got.String() != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want %s", text, got, err, want)
		}
	}
}

// TestParse_Documented parses the example of the documentation, which must name every option.
func TestParse_Documented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/certificates.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## Keys files\n")
	_, example, _ := strings.Cut(section, "```text\n")
	example, _, _ = strings.Cut(example, "```")
	key, _, _ := strings.Cut(strings.TrimPrefix(keyA, "ssh-ed25519 "), " ")
	keys, errs := Parse([]byte(strings.ReplaceAll(example, "AAAA...", key)), time.UTC)
	if errs != nil || len(keys) != 3 || keys[0].From == nil || keys[1].Command == nil || !keys[2].CertAuthority {
		t.Errorf("got %+v, %v", keys, errs)
	}
	names := slices.Concat(slices.Collect(maps.Keys(flagOptions)), slices.Collect(maps.Keys(valueOptions)),
		slices.Collect(maps.Keys(notEnforced)))
	opposites := []string{"agent-forwarding", "x11-forwarding", "user-rc"} // of the options with no-
	for _, name := range names {
		if !slices.Contains(opposites, name) && !strings.Contains(section, "`"+name) {
			t.Errorf("the option %s is not documented", name)
		}
	}
}

// FuzzParse checks that no file makes Parse panic, and that each key of a file is one that ssh-keygen could list.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`command="a\"b",from="10.*,!10.1.0.0/16",expiry-time="20261231Z",restrict ` + keyA))
	f.Add([]byte(`cert-authority,principals="a,b" ` + keyB + "\n# x\n" + keyA))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, errs := Parse(data, time.UTC)
		if len(errs) > 0 && keys != nil {
			t.Fatalf("got %v and %v", keys, errs)
		}
		for _, key := range keys {
			if _, err := ssh.ParsePublicKey(key.Public.Marshal()); err != nil {
				t.Errorf("line %d: %v", key.Line, err)
			}
			key.From.Allow(netip.MustParseAddr("10.1.2.3"))
		}
	})
}
