package sshd

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"net"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
)

// newOpenSSH starts a server and returns a function that runs a line there with the OpenSSH client, as carl.
func newOpenSSH(t *testing.T) func(args ...string) (out string, err error) {
	t.Helper()
	ssh, err := osexec.LookPath("ssh")
	if err != nil {
		t.Skip("ssh not found: apt-get install openssh-client")
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	s := startServerWith(t, Limits{}, whoHandler, func(s *Server) {
		s.Settings.Users = acl.NewDirectory(acl.Rules{Accounts: []acl.Account{newAccount("carl", signer.PublicKey())}})
	})
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(s.addr)
	return func(args ...string) (string, error) {
		all := append([]string{
			"-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
			"IdentitiesOnly=yes", "-i", key, "-p", port,
		}, args...)
		out, err := osexec.Command(ssh, append(all, "carl@"+host, "x")...).CombinedOutput()
		return string(out), err
	}
}

func TestOpenSSH_EveryCipher(t *testing.T) {
	ssh := newOpenSSH(t)
	for _, cipher := range []string{
		"", "aes128-ctr", "aes192-ctr", "aes256-ctr", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com",
		"chacha20-poly1305@openssh.com",
		"3des-cbc,aes256-ctr", "chacha20-poly1305@openssh.com,aes256-ctr",
	} {
		args, want := []string{"-v"}, cipher
		if cipher != "" {
			args = append(args, "-c", cipher)
		}
		if i := strings.LastIndexByte(cipher, ','); i > 0 {
			want = ""
		}
		if cipher == "" && hasAES() { // OpenSSH prefers ChaCha20, which is two to three times slower here
			want = "aes128-gcm@openssh.com"
		}
		out, err := ssh(args...)
		if err != nil || !strings.Contains(out, "carl x\n") {
			t.Errorf("%q: %v\n%s", cipher, err, out)
		}
		if !strings.Contains(out, "kex: server->client cipher: "+want) ||
			!strings.Contains(out, "kex: client->server cipher: "+want) {
			t.Errorf("%q: another cipher was negotiated:\n%s", cipher, out)
		}
	}
}

func TestOpenSSH_NoWeakAlgorithms(t *testing.T) {
	ssh := newOpenSSH(t)
	for _, option := range []string{
		"MACs=hmac-sha1", "MACs=hmac-sha2-256", "MACs=hmac-sha2-512", "MACs=umac-128-etm@openssh.com",
		"KexAlgorithms=ecdh-sha2-nistp256", "KexAlgorithms=ecdh-sha2-nistp521",
		"KexAlgorithms=diffie-hellman-group14-sha1", "Ciphers=aes256-cbc",
	} {
		args := []string{"-o", option}
		if strings.HasPrefix(option, "MACs") {
			args = append(args, "-c", "aes128-ctr") // the other ciphers need no MAC
		}
		if out, err := ssh(args...); err == nil || !strings.Contains(out, "no matching") {
			t.Errorf("%s: got %v, %s", option, err, out)
		}
	}
	for _, option := range []string{
		"MACs=hmac-sha2-256-etm@openssh.com", "MACs=hmac-sha2-512-etm@openssh.com", "KexAlgorithms=curve25519-sha256",
		"KexAlgorithms=curve25519-sha256@libssh.org",
		"KexAlgorithms=diffie-hellman-group16-sha512",
	} {
		if out, err := ssh("-o", option, "-c", "aes128-ctr"); err != nil {
			t.Errorf("%s: got %v, %s", option, err, out)
		}
	}
}

// TestSSHAudit runs ssh-audit, which reports weak algorithms.
func TestSSHAudit(t *testing.T) {
	audit, err := osexec.LookPath("ssh-audit")
	if err != nil {
		t.Skip("ssh-audit not found: apt-get install ssh-audit")
	}
	s := startServer(t, Limits{}, whoHandler)
	host, port, _ := net.SplitHostPort(s.addr)
	out, err := osexec.Command(audit, "-n", "-t", "30", "-p", port, host).Output()
	text := string(out)
	var exit *osexec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 { // warnings, including those about unknown algorithms
		err = nil
	}
	if err != nil || !strings.Contains(text, "(mac) hmac-sha2-512-etm@openssh.com") {
		t.Errorf("%v\n%s", err, text)
	}
	for line := range strings.Lines(text) {
		warns := strings.Contains(line, "[warn]") && !strings.Contains(line, "unknown algorithm")
		if warns || strings.Contains(line, "[fail]") || strings.Contains(line, "nistp") ||
			strings.Contains(line, "sha1 ") {
			t.Error(line)
		}
	}
}
