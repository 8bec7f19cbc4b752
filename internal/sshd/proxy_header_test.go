package sshd

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

// proxyV2 returns a version 2 header.
func proxyV2(versionCommand, family byte, body ...byte) string {
	header := append([]byte(proxySignatureV2), versionCommand, family)
	return string(append(binary.BigEndian.AppendUint16(header, uint16(len(body))), body...))
}

var (
	tcp4Body = []byte{192, 0, 2, 1, 192, 0, 2, 2, 0x03, 0xE8, 0, 22}
	tcp6Body = append(append(netip.MustParseAddr("2001:db8::1").AsSlice(),
		netip.MustParseAddr("2001:db8::2").AsSlice()...), 0x03, 0xE8, 0, 22)
)

func TestReadProxyHeader_Valid(t *testing.T) {
	tlv := []byte{4, 0, 3, 'x', 'y', 'z'}
	for name, tc := range map[string]struct{ header, want string }{
		"v1 TCP4":          {"PROXY TCP4 192.0.2.1 192.0.2.2 1000 22\r\n", "192.0.2.1:1000"},
		"v1 TCP6":          {"PROXY TCP6 2001:db8::1 2001:db8::2 65535 22\r\n", "[2001:db8::1]:65535"},
		"v1 mapped":        {"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 22\r\n", "192.0.2.1:1"},
		"v1 unknown":       {"PROXY UNKNOWN\r\n", ""},
		"v1 unknown, long": {"PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n", ""},
		"v2 TCP4":          {proxyV2(0x21, 0x11, tcp4Body...), "192.0.2.1:1000"},
		"v2 TCP4 and TLVs": {proxyV2(0x21, 0x11, append(bytes.Clone(tcp4Body), tlv...)...), "192.0.2.1:1000"},
		"v2 TCP6":          {proxyV2(0x21, 0x21, tcp6Body...), "[2001:db8::1]:1000"},
		"v2 local":         {proxyV2(0x20, 0), ""},
		"v2 local, filled": {proxyV2(0x20, 0x11, tcp4Body...), ""},
		"v2 unspecified":   {proxyV2(0x21, 0), ""},
	} {
		const after = "SSH-2.0-OpenSSH_9\r\n"
		r := strings.NewReader(tc.header + after)
		got, err := readProxyHeader(iotest.OneByteReader(r))
		if text := got.String(); err != nil || got.IsValid() && text != tc.want || got.IsValid() != (tc.want != "") {
			t.Errorf("%s: got %s, %v, want %q", name, text, err, tc.want)
		}
		if rest, _ := io.ReadAll(r); string(rest) != after {
			t.Errorf("%s: %q is left after the header, want %q", name, rest, after)
		}
	}
}

func TestReadProxyHeader_Invalid(t *testing.T) {
	for name, header := range map[string]string{
		"empty":              "",
		"SSH":                "SSH-2.0-OpenSSH_9.2\r\n",
		"cut":                "PROXY TCP4 192.0.2.1",
		"no CR":              "PROXY TCP4 192.0.2.1 192.0.2.2 1000 22\n" + strings.Repeat("x", 100),
		"too long":           "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n",
		"lowercase":          "proxy TCP4 192.0.2.1 192.0.2.2 1000 22\r\n",
		"family":             "PROXY TCP4 2001:db8::1 2001:db8::2 1000 22\r\n",
		"other family":       "PROXY TCP6 192.0.2.1 192.0.2.2 1000 22\r\n",
		"UDP":                "PROXY UDP4 192.0.2.1 192.0.2.2 1000 22\r\n",
		"zone":               "PROXY TCP6 fe80::1%eth0 fe80::2 1000 22\r\n",
		"host name":          "PROXY TCP4 gw.example 192.0.2.2 1000 22\r\n",
		"port":               "PROXY TCP4 192.0.2.1 192.0.2.2 65536 22\r\n",
		"port with a zero":   "PROXY TCP4 192.0.2.1 192.0.2.2 01000 22\r\n",
		"port with a sign":   "PROXY TCP4 192.0.2.1 192.0.2.2 +100 22\r\n",
		"destination":        "PROXY TCP4 192.0.2.1 x 1000 22\r\n",
		"two spaces":         "PROXY TCP4  192.0.2.1 192.0.2.2 1000 22\r\n",
		"more words":         "PROXY TCP4 192.0.2.1 192.0.2.2 1000 22 x\r\n",
		"v2 cut signature":   proxySignatureV2[:11],
		"v2 cut":             proxyV2(0x21, 0x11, tcp4Body...)[:20],
		"v2 version 3":       proxyV2(0x31, 0x11, tcp4Body...),
		"v2 command":         proxyV2(0x22, 0x11, tcp4Body...),
		"v2 UDP":             proxyV2(0x21, 0x12, tcp4Body...),
		"v2 unix":            proxyV2(0x21, 0x31, make([]byte, 216)...),
		"v2 short addresses": proxyV2(0x21, 0x21, tcp4Body...),
		"v2 too long":        proxyV2(0x20, 0, make([]byte, maxProxyBody+1)...),
	} {
		if got, err := readProxyHeader(strings.NewReader(header)); err == nil || got.IsValid() {
			t.Errorf("%s: got %s, %v, want an error", name, got, err)
		}
	}
}

// FuzzReadProxyHeader expects that the result depends only on the header, which has a limited size.
func FuzzReadProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 1000 22\r\nSSH-2.0-x\r\n"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(proxyV2(0x21, 0x21, tcp6Body...)))
	f.Add([]byte(proxyV2(0x20, 0)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		got, err := readProxyHeader(r)
		used := len(data) - r.Len()
		if used > maxProxyBody+16 {
			t.Errorf("read %d bytes", used)
		}
		if err != nil {
			return
		}
		if got.IsValid() && (got.Addr().Zone() != "" || got.Addr().Is4In6()) {
			t.Errorf("got %s", got)
		}
		again, err := readProxyHeader(bytes.NewReader(append(bytes.Clone(data[:used]), "more"...)))
		if err != nil || again != got {
			t.Errorf("got %s, %v with other data after the header, want %s", again, err, got)
		}
	})
}
