// Package sshfiles writes the files that an OpenSSH client needs to connect to a gateway without prompts: keys,
// known_hosts and an ssh_config with one host for each user. The demo and the tests use it.
package sshfiles

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Dir is a directory with such files.
type Dir string

// Path returns the path of a file in the directory.
func (d Dir) Path(name string) string { return filepath.Join(string(d), name) }

// NewKey creates a key pair, writes NAME and NAME.pub, and returns the private key.
func (d Dir) NewKey(name string) (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, name)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(d.Path(name+".pub"), []byte(AuthorizedKeyLine(signer)+"\n"), 0o600); err != nil {
		return nil, err
	}
	return signer, os.WriteFile(d.Path(name), pem.EncodeToMemory(block), 0o600)
}

// AuthorizedKeyLine returns the public key as a line of an authorized_keys file.
func AuthorizedKeyLine(key ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
}

// WriteConfig writes ssh_config and known_hosts for a gateway at address with the given host key. Each user becomes
// a host of the same name, with the key in the file of that name.
func (d Dir) WriteConfig(address string, host ssh.Signer, users ...string) error {
	ip, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	known := fmt.Sprintf("[%s]:%s %s\n", ip, port, AuthorizedKeyLine(host))
	if err := os.WriteFile(d.Path("known_hosts"), []byte(known), 0o600); err != nil {
		return err
	}
	return os.WriteFile(d.Path("ssh_config"), []byte(d.configText(ip, port, "*", users)), 0o600)
}

// WriteGatewayConfig is like WriteConfig, for a file that replaces ~/.ssh/config in a shell. The host gw is another
// name for the first user's host. All other hosts have the settings of ~/.ssh/config.
func (d Dir) WriteGatewayConfig(address string, host ssh.Signer, users ...string) error {
	if err := d.WriteConfig(address, host, users...); err != nil {
		return err
	}
	ip, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	hosts := append([]string{"gw"}, users...)
	text := fmt.Sprintf("Host gw\n  User %s\n  IdentityFile %q\n\n", users[0], d.Path(users[0])) +
		d.configText(ip, port, strings.Join(hosts, " "), users) +
		"\nHost * !" + strings.Join(hosts, " !") + "\n  Include ~/.ssh/config\n"
	return os.WriteFile(d.Path("ssh_config"), []byte(text), 0o600)
}

// configText returns an ssh_config with a host for each user, and the settings of a gateway for the hosts.
func (d Dir) configText(ip, port, hosts string, users []string) string {
	var b strings.Builder
	for _, user := range users {
		fmt.Fprintf(&b, "Host %s\n  User %s\n  IdentityFile %q\n\n", user, user, d.Path(user))
	}
	fmt.Fprintf(&b, "Host %s\n  HostName %s\n  Port %s\n  IdentitiesOnly yes\n  IdentityAgent none\n", hosts, ip, port)
	fmt.Fprintf(&b, "  UserKnownHostsFile %q\n  GlobalKnownHostsFile /dev/null\n", d.Path("known_hosts"))
	b.WriteString("  StrictHostKeyChecking yes\n  LogLevel ERROR\n")
	return b.String()
}
