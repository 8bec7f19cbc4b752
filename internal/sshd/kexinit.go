package sshd

import (
	"encoding/binary"
	"errors"
	"strings"
)

// kexInit has the ciphers of a client, from its SSH_MSG_KEXINIT (RFC 4253).
type kexInit struct {
	in, out []string // client to server, server to client
}

const (
	// maxFirstPacket bounds the size of a packet of an unknown client (RFC 4253, 6.1).
	maxFirstPacket = 35000

	msgKexInit       = 20
	maxAlgorithmName = 64 // RFC 4251, 6
)

var errKexInit = errors.New("not a KEXINIT message")

// packetLength returns the length of an unencrypted packet, without the length field of 4 bytes.
func packetLength(header [4]byte) (int, error) {
	n := binary.BigEndian.Uint32(header[:])
	if n < 12 || n > maxFirstPacket-4 { // the smallest packet has 16 bytes including the length
		return 0, errors.New("not an SSH packet")
	}
	return int(n), nil
}

// parseKexInit parses an unencrypted packet without its length field.
func parseKexInit(packet []byte) (kexInit, error) {
	if len(packet) < 1 || len(packet) > maxFirstPacket {
		return kexInit{}, errKexInit
	}
	padding := int(packet[0])
	if padding < 4 || 1+padding > len(packet) {
		return kexInit{}, errKexInit
	}
	payload := packet[1 : len(packet)-padding]
	const cookie = 16
	if len(payload) < 1+cookie || payload[0] != msgKexInit {
		return kexInit{}, errKexInit
	}
	rest := payload[1+cookie:]
	var lists [10][]string // RFC 4253, 7.1
	for i := range lists {
		var ok bool
		if lists[i], rest, ok = nameList(rest); !ok {
			return kexInit{}, errKexInit
		}
	}
	if len(rest) != 1+4 || rest[0] > 1 || binary.BigEndian.Uint32(rest[1:]) != 0 {
		return kexInit{}, errKexInit
	}
	return kexInit{in: lists[2], out: lists[3]}, nil
}

// nameList parses the name-list at the start of b.
func nameList(b []byte) (names []string, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	b = b[4:]
	if uint64(n) > uint64(len(b)) {
		return nil, nil, false
	}
	if n == 0 {
		return nil, b, true
	}
	for name := range strings.SplitSeq(string(b[:n]), ",") {
		notPrintable := func(r rune) bool { return r <= ' ' || r > '~' }
		if name == "" || len(name) > maxAlgorithmName || strings.ContainsFunc(name, notPrintable) {
			return nil, nil, false
		}
		names = append(names, name)
	}
	return names, b[n:], true
}

// packetCounter counts the packets that a client sends before encryption starts.
type packetCounter struct {
	complete int // complete packets
	invalid  bool
	header   [4]byte
	filled   int // bytes of header received
	left     int // bytes of the packet not received yet
}

// add counts the packets in b, which may start and end within a packet.
func (p *packetCounter) add(b []byte) {
	for len(b) > 0 && !p.invalid {
		if p.left == 0 {
			n := copy(p.header[p.filled:], b)
			b, p.filled = b[n:], p.filled+n
			if p.filled < len(p.header) {
				return
			}
			p.filled = 0
			var err error
			if p.left, err = packetLength(p.header); err != nil {
				p.invalid = true
			}
			continue
		}
		n := min(p.left, len(b))
		b = b[n:]
		if p.left -= n; p.left == 0 {
			p.complete++
		}
	}
}
