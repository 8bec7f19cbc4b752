package sshd

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"
)

const (
	// serverVersion is the version line. OpenSSH reports a closed stdout (see channel.closeStdout) only to servers with
	// this prefix.
	serverVersion = "SSH-2.0-OpenSSH_nomadctld"

	maxVersionLine = 255 // RFC 4253, 4.2

	// kexInitTimeout bounds the wait for the first packet of OpenSSH. OpenSSH sends it one round trip after the
	// gateway's version line; other clients wait for the gateway's first packet.
	kexInitTimeout = time.Second
)

var errNotSSH = errors.New("the client does not speak SSH")

// exchangeVersions sends the gateway's version line and reads the client's. From OpenSSH it also reads the first
// packet, which lists the client's ciphers; init is nil if that packet does not arrive in time or is not a valid
// KEXINIT. An invalid packet length is an error. The library reads everything again. Call it before the library reads
// or writes.
func (c *connection) exchangeVersions() (client string, init *kexInit, err error) {
	if _, err := c.Conn.Write([]byte(serverVersion + "\r\n")); err != nil {
		return "", nil, err
	}
	c.ownVersionLeft = len(serverVersion + "\r\n")
	end := -1
	for end < 0 {
		if len(c.greeting) >= maxVersionLine {
			return "", nil, errNotSSH
		}
		err := c.fillGreeting(maxVersionLine)
		if end = bytes.IndexByte(c.greeting, '\n'); end < 0 && err != nil {
			return "", nil, err
		}
	}
	client = strings.TrimSuffix(string(c.greeting[:end]), "\r")
	if !strings.HasPrefix(client, "SSH-") {
		return "", nil, errNotSSH
	}
	end++
	c.versionLineLeft = end
	if !strings.HasPrefix(client, "SSH-2.0-OpenSSH_") {
		return client, nil, nil
	}
	c.Conn.SetReadDeadline(time.Now().Add(kexInitTimeout))
	defer c.Conn.SetReadDeadline(time.Time{})
	for len(c.greeting) < end+4 {
		if c.fillGreeting(end+4) != nil {
			return client, nil, nil // the library gets the same error, unless it is a timeout
		}
	}
	n, err := packetLength([4]byte(c.greeting[end:]))
	if err != nil {
		return client, nil, err
	}
	for end += 4; len(c.greeting) < end+n; {
		if c.fillGreeting(end+n) != nil {
			return client, nil, nil
		}
	}
	if parsed, err := parseKexInit(c.greeting[end : end+n]); err == nil {
		init = &parsed
	}
	return client, init, nil
}

// fillGreeting reads once, and extends greeting to at most n bytes. It returns nil if it read any.
func (c *connection) fillGreeting(n int) error {
	buf := make([]byte, min(n-len(c.greeting), 4<<10))
	read, err := c.Conn.Read(buf)
	c.greeting = append(c.greeting, buf[:read]...)
	if read > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}
