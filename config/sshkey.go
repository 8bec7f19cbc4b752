package config

import (
	"errors"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/authkeys"
)

// parsePublicKey parses the line of a .pub file, or returns what is wrong with it. The problem contains nothing of the
// line, because people paste private keys.
func parsePublicKey(line string) (ssh.PublicKey, *problem) {
	const hint = "paste the line of the .pub file, such as ssh-ed25519 AAAA..."
	line = strings.TrimSpace(line)
	kind, _, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	switch {
	case line == "":
		return nil, &problem{"is empty", hint}
	case strings.Contains(line, "PRIVATE KEY"):
		return nil, &problem{"is a private key", hint}
	case strings.ContainsAny(line, "\r\n"):
		return nil, &problem{"has more than one line", hint}
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil && kind == "ssh-dss":
		return nil, &problem{"is a DSA key, which is no longer safe", hintWeakKey}
	case err != nil && strings.HasPrefix(kind, "ssh-") && strings.Contains(line, " "):
		return nil, &problem{"is a damaged SSH key: part of it is missing or changed", hint}
	case err != nil:
		return nil, &problem{"is not an SSH key", hint}
	case len(options) > 0 || kind != key.Type():
		return nil, &problem{
			"has options before the key, which are not supported",
			"start with the key type, such as ssh-ed25519, or write the line to a file that keysfile names",
		}
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return nil, &problem{
			"is a certificate, not a key", "paste the key that it certifies, or write cert = true and set auth.userca",
		}
	}
	if reason := authkeys.Weakness(key); reason != "" {
		return nil, &problem{reason, hintWeakKey}
	}
	return key, nil
}

const hintWeakKey = "create a new key: ssh-keygen -t ed25519"

// hostKeys checks the gateway's host key files.
func (l *loader) hostKeys(t *table) []string {
	const hint = "create one: ssh-keygen -t ed25519 -N '' -f /etc/nomadctld/hostkey, and write " +
		`hostkey = "/etc/nomadctld/hostkey"`
	listed := t.textOrTexts("hostkey", `hostkey = "/etc/nomadctld/hostkey"`)
	if listed.empty() {
		l.errorf(listed.at, hint, "%s is %s", listed.name, listed.emptyText())
	}
	var files []string
	for _, v := range listed.items {
		files = append(files, v.text)
		if l.reportMissingHostKey(v) {
			continue
		}
		data, info, ok := l.loadUncheckedFile(v)
		if !ok {
			continue
		}
		stat, _ := info.Sys().(*syscall.Stat_t)
		if reason, hint := hostKeyProblem(data); reason != "" {
			l.errorf(v.at, hint, "%s: file %s %s", v.name, quote(v.text), reason)
		} else if stat != nil && int(stat.Uid) == l.env.uid && info.Mode().Perm()&0o077 != 0 { // as in sshd
			l.errorf(v.at, "chmod 600 "+quote(v.text),
				"%s: private key file %s with mode %04o is accessible to other users",
				v.name, quote(v.text), info.Mode().Perm())
		} else if read, _ := l.env.otherUsers(v.text, info); read == everyUser {
			l.errorf(v.at, "chmod o-r "+quote(v.text), "%s: private key file %s is readable by %s", v.name, quote(v.text), read)
		} else {
			l.checkFileAccess(v.at, v.name, v.text, info, true)
		}
	}
	return files
}

// hostKeyProblem returns what is wrong with the content of a host key file, or "". It contains nothing of the content.
func hostKeyProblem(data []byte) (reason, hint string) {
	hint = "name a private key, such as ssh-keygen -t ed25519 -N '' creates"
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return "has a passphrase, which the gateway cannot enter", "remove it: ssh-keygen -p -N '' -f FILE"
	case err != nil:
		if _, _, _, _, err := ssh.ParseAuthorizedKey(data); err == nil {
			return "is a public key", "name the file without .pub"
		}
		return "is not a private key", hint
	}
	return authkeys.Weakness(signer.PublicKey()), hint
}
