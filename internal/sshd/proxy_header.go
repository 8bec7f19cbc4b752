package sshd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The PROXY protocol, versions 1 and 2: https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt
const (
	proxySignatureV1 = "PROXY "
	proxySignatureV2 = "\r\n\r\n\x00\r\nQUIT\n"
	maxProxyLine     = 107     // bytes of a version 1 header, with CR LF
	maxProxyBody     = 4 << 10 // bytes of addresses and TLVs in version 2
)

var errProxyHeader = errors.New("not a valid PROXY protocol header")

// readProxyHeader reads the header that a proxy sends first, and returns the address of its client. The address is
// invalid if the header has none, as that of a health check. readProxyHeader reads no byte after the header.
func readProxyHeader(r io.Reader) (client netip.AddrPort, err error) {
	start := make([]byte, len(proxySignatureV2)) // less than any valid header
	if _, err := io.ReadFull(r, start); err != nil {
		return client, err
	}
	switch {
	case string(start) == proxySignatureV2:
		return readProxyV2(r)
	case bytes.HasPrefix(start, []byte(proxySignatureV1)):
		return readProxyV1(r, start)
	}
	return client, errProxyHeader
}

// readProxyV1 reads the rest of a line such as "PROXY TCP4 192.0.2.1 192.0.2.2 1000 22".
func readProxyV1(r io.Reader, line []byte) (client netip.AddrPort, err error) {
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == maxProxyLine {
			return client, errProxyHeader
		}
		var next [1]byte
		if _, err := io.ReadFull(r, next[:]); err != nil {
			return client, err
		}
		line = append(line, next[0])
	}
	words := strings.Split(string(line[:len(line)-2]), " ")
	if words[1] == "UNKNOWN" { // the rest of the line has no meaning
		return client, nil
	}
	if len(words) != 6 {
		return client, errProxyHeader
	}
	source, err := parseProxyAddress(words[1], words[2], words[4])
	if err != nil {
		return client, err
	}
	if _, err := parseProxyAddress(words[1], words[3], words[5]); err != nil {
		return client, err
	}
	return source, nil
}

// parseProxyAddress parses an address of version 1.
func parseProxyAddress(family, address, port string) (netip.AddrPort, error) {
	ip, err := netip.ParseAddr(address)
	n, e := strconv.ParseUint(port, 10, 16)
	valid := family == "TCP4" && ip.Is4() || family == "TCP6" && ip.Is6() && ip.Zone() == ""
	if err != nil || e != nil || !valid || strconv.FormatUint(n, 10) != port {
		return netip.AddrPort{}, errProxyHeader
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
}

// readProxyV2 reads a binary header after its signature.
func readProxyV2(r io.Reader) (client netip.AddrPort, err error) {
	const (
		version      = 2 << 4
		local, proxy = 0, 1
		unspecified  = 0
		tcp4, tcp6   = 0x11, 0x21
	)
	var fixed struct {
		VersionCommand, Family byte
		Length                 uint16
	}
	if err := binary.Read(r, binary.BigEndian, &fixed); err != nil {
		return client, err
	}
	if fixed.Length > maxProxyBody {
		return client, errProxyHeader
	}
	body := make([]byte, fixed.Length)
	if _, err := io.ReadFull(r, body); err != nil {
		return client, err
	}
	size := 0 // of an IP address
	switch fixed.VersionCommand {
	case version | local:
		return client, nil
	case version | proxy:
		switch fixed.Family {
		case unspecified:
			return client, nil
		case tcp4:
			size = net.IPv4len
		case tcp6:
			size = net.IPv6len
		}
	}
	if size == 0 || len(body) < 2*size+4 { // two addresses and two ports; TLVs may follow
		return client, errProxyHeader
	}
	ip, _ := netip.AddrFromSlice(body[:size])
	return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(body[2*size:])), nil
}
