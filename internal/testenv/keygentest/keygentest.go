// Package keygentest creates keys, certificates and revocation lists for tests with the real ssh-keygen.
package keygentest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Dir is a directory with keys. The key NAME is in the files NAME and NAME.pub.
type Dir struct {
	Path string
	t    testing.TB
}

// New creates an empty directory, which is removed after the test.
func New(t testing.TB) Dir { return Dir{t.TempDir(), t} }

// In returns a directory that exists.
func In(t testing.TB, path string) Dir { return Dir{path, t} }

// Run runs ssh-keygen in the directory, with UTC as the time zone. It returns the output.
func (d Dir) Run(args ...string) string {
	d.t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir, cmd.Env = d.Path, append(os.Environ(), "TZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("ssh-keygen %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// NewKeys creates ed25519 keys without passphrases.
func (d Dir) NewKeys(names ...string) {
	d.t.Helper()
	for _, name := range names {
		d.Run("-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name)
	}
}

// Sign signs the key with the CA and writes the certificate to CERT.pub. args are further arguments of ssh-keygen. The
// default key ID is id-CERT, and the default principal is ann. -n "" creates a certificate without principals.
func (d Dir) Sign(ca, key, cert string, args ...string) {
	d.t.Helper()
	args = append([]string{"-q", "-s", ca, "-I", "id-" + cert}, args...)
	if i := slices.Index(args, "-n"); i < 0 {
		args = append(args, "-n", "ann")
	} else if args[i+1] == "" {
		args = slices.Delete(args, i, i+2)
	}
	d.Run(append(args, key+".pub")...)
	if err := os.Rename(filepath.Join(d.Path, key+"-cert.pub"), filepath.Join(d.Path, cert+".pub")); err != nil {
		d.t.Fatal(err)
	}
}

// Revoke writes a revocation list of ssh-keygen to the file krl, from lines in the format of KRL specifications, and
// returns it. ca is empty, or the name of the CA of the certificates.
func (d Dir) Revoke(ca string, lines ...string) []byte {
	d.t.Helper()
	d.Write("spec", strings.Join(lines, "\n")+"\n")
	args := []string{"-q", "-k", "-f", "krl"}
	if ca != "" {
		args = append(args, "-s", ca+".pub")
	}
	d.Run(append(args, "spec")...)
	return []byte(d.Read("krl"))
}

// Public returns the key or certificate in NAME.pub.
func (d Dir) Public(name string) ssh.PublicKey {
	d.t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(d.Read(name + ".pub")))
	if err != nil {
		d.t.Fatal(err)
	}
	return key
}

// Line returns the line in NAME.pub.
func (d Dir) Line(name string) string {
	d.t.Helper()
	return strings.TrimSpace(d.Read(name + ".pub"))
}

// Signer returns the private key NAME.
func (d Dir) Signer(name string) ssh.Signer {
	d.t.Helper()
	signer, err := ssh.ParsePrivateKey([]byte(d.Read(name)))
	if err != nil {
		d.t.Fatal(err)
	}
	return signer
}

// CertSigner returns the private key NAME, which presents the certificate in CERT.pub.
func (d Dir) CertSigner(name, cert string) ssh.Signer {
	d.t.Helper()
	signer, err := ssh.NewCertSigner(d.Public(cert).(*ssh.Certificate), d.Signer(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return signer
}

// Read returns the content of a file.
func (d Dir) Read(name string) string {
	d.t.Helper()
	data, err := os.ReadFile(filepath.Join(d.Path, name))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(data)
}

// Write writes a file that only its owner can read.
func (d Dir) Write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.Path, name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}
