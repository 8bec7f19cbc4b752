package config

import (
	"crypto/rsa"
	"errors"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// publicKey parses the one line of a .pub file, or says what is wrong with it, as the rest of a sentence about it,
// without showing any of it: people paste private keys.
func publicKey(line string) (ssh.PublicKey, *unreadable) {
	const mend = "paste the one line of the .pub file, such as ssh-ed25519 AAAA..."
	line = strings.TrimSpace(line)
	kind, _, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	switch {
	case line == "":
		return nil, &unreadable{"is empty", mend}
	case strings.Contains(line, "PRIVATE KEY"):
		return nil, &unreadable{"is a private key", mend}
	case strings.ContainsAny(line, "\r\n"):
		return nil, &unreadable{"has more than one line", mend}
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil && kind == "ssh-dss":
		return nil, &unreadable{weakDSA, mendWeak}
	case err != nil && strings.HasPrefix(kind, "ssh-") && strings.Contains(line, " "):
		return nil, &unreadable{"is a damaged SSH key: a part of it is missing or altered", mend}
	case err != nil:
		return nil, &unreadable{"is not an SSH key", mend}
	case len(options) > 0 || kind != key.Type():
		return nil, &unreadable{"has options before the key, which would not be obeyed", "begin with the type, such as ssh-ed25519"}
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return nil, &unreadable{"is a certificate, not a key", "paste the key it was made for: certificates prove nobody in this version"}
	}
	if why := weak(key); why != "" {
		return nil, &unreadable{why, mendWeak}
	}
	return key, nil
}

const (
	weakDSA  = "is a DSA key, which is no longer safe"
	mendWeak = "make a new one: ssh-keygen -t ed25519"
)

// weak says why a key is not safe to use; empty when it is.
func weak(key ssh.PublicKey) string {
	if key.Type() == "ssh-dss" {
		return weakDSA
	}
	if c, ok := key.(ssh.CryptoPublicKey); ok {
		if r, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok && r.N.BitLen() < 2048 {
			return "is an RSA key of less than 2048 bits"
		}
	}
	return ""
}

// hostKeys checks the files the gateway proves itself with.
func (l *loader) hostKeys(t *table) []string {
	const make = "make one: ssh-keygen -t ed25519 -N '' -f /etc/nomadctld/ssh_host_ed25519_key, and write hostkey = " +
		`"/etc/nomadctld/ssh_host_ed25519_key"`
	listed := t.textOrTexts("hostkey", `hostkey = "/etc/ssh/ssh_host_ed25519_key"`)
	if listed.empty() {
		l.fault(listed.at, make, "%s is missing", listed.name)
	}
	var files []string
	for _, v := range listed.items {
		files = append(files, v.text)
		data, info, ok := l.content(v)
		if !ok {
			continue
		}
		stat, _ := info.Sys().(*syscall.Stat_t)
		if why, mend := privateKey(data); why != "" {
			l.fault(v.at, mend, "%s: file %s %s", v.name, quote(v.text), why)
		} else if stat != nil && int(stat.Uid) == l.machine.uid && info.Mode().Perm()&0o077 != 0 { // as sshd
			l.fault(v.at, "chmod 600 "+quote(v.text), "%s: file %s is a private key with mode %04o, which is open to others; sshd refuses it too", v.name, quote(v.text), info.Mode().Perm())
		} else {
			l.guard(v.at, v.name, v.text, info, true)
		}
	}
	return files
}

// privateKey says what is wrong with a host key file. No part of it is shown.
func privateKey(data []byte) (why, mend string) {
	mend = "name a private key such as ssh-keygen -t ed25519 -N '' makes"
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return "has a passphrase, which nobody is there to type", "remove it: ssh-keygen -p -N '' -f FILE"
	case err != nil:
		if _, _, _, _, err := ssh.ParseAuthorizedKey(data); err == nil {
			return "is a public key", "name the file without .pub"
		}
		return "is not a private key", mend
	}
	return weak(signer.PublicKey()), mend
}
