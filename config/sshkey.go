package config

import (
	"crypto/rsa"
	"errors"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// parsePublicKey parses the one line of a .pub file, or says what is wrong with it, as the rest of a sentence about it,
// without showing any of it: people paste private keys.
func parsePublicKey(line string) (ssh.PublicKey, *problem) {
	const mend = "paste the one line of the .pub file, such as ssh-ed25519 AAAA..."
	line = strings.TrimSpace(line)
	kind, _, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	switch {
	case line == "":
		return nil, &problem{"is empty", mend}
	case strings.Contains(line, "PRIVATE KEY"):
		return nil, &problem{"is a private key", mend}
	case strings.ContainsAny(line, "\r\n"):
		return nil, &problem{"has more than one line", mend}
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil && kind == "ssh-dss":
		return nil, &problem{reasonDSA, hintWeakKey}
	case err != nil && strings.HasPrefix(kind, "ssh-") && strings.Contains(line, " "):
		return nil, &problem{"is a damaged SSH key: a part of it is missing or altered", mend}
	case err != nil:
		return nil, &problem{"is not an SSH key", mend}
	case len(options) > 0 || kind != key.Type():
		return nil, &problem{"has options before the key, which would not be obeyed", "begin with the type, such as ssh-ed25519"}
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return nil, &problem{"is a certificate, not a key", "paste the key it was made for: certificates prove nobody in this version"}
	}
	if why := weakKeyReason(key); why != "" {
		return nil, &problem{why, hintWeakKey}
	}
	return key, nil
}

const (
	reasonDSA   = "is a DSA key, which is no longer safe"
	hintWeakKey = "make a new one: ssh-keygen -t ed25519"
)

// weakKeyReason says why a key is not safe to use; empty when it is.
func weakKeyReason(key ssh.PublicKey) string {
	if key.Type() == "ssh-dss" {
		return reasonDSA
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
		l.errorf(listed.at, make, "%s is missing", listed.name)
	}
	var files []string
	for _, v := range listed.items {
		files = append(files, v.text)
		data, info, ok := l.loadContent(v)
		if !ok {
			continue
		}
		stat, _ := info.Sys().(*syscall.Stat_t)
		if why, mend := hostKeyProblem(data); why != "" {
			l.errorf(v.at, mend, "%s: file %s %s", v.name, quote(v.text), why)
		} else if stat != nil && int(stat.Uid) == l.env.uid && info.Mode().Perm()&0o077 != 0 { // as sshd
			l.errorf(v.at, "chmod 600 "+quote(v.text), "%s: file %s is a private key with mode %04o, which is open to others; sshd refuses it too", v.name, quote(v.text), info.Mode().Perm())
		} else {
			l.checkFileAccess(v.at, v.name, v.text, info, true)
		}
	}
	return files
}

// hostKeyProblem says what is wrong with a host key file. No part of it is shown.
func hostKeyProblem(data []byte) (why, mend string) {
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
	return weakKeyReason(signer.PublicKey()), mend
}
