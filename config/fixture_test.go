package config_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// commands are the built-in commands that the tests pass to Load.
var commands = []string{"ps", "logs", "status", "mine"}

// files are the files that the configs in testdata name. They are generated, because private keys are never committed.
var files = sync.OnceValue(func() map[string]string {
	_, host, _ := ed25519.GenerateKey(rand.Reader)
	rsa2048 := rsaKey(2048)
	_, client, _ := ed25519.GenerateKey(rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, client.Public(), client)
	check(err)
	clientDER, err := x509.MarshalPKCS8PrivateKey(client)
	check(err)
	hostBlock, err := ssh.MarshalPrivateKey(host, "")
	check(err)
	lockedBlock, err := ssh.MarshalPrivateKeyWithPassphrase(host, "", []byte("secret"))
	check(err)
	hostPublic, err := ssh.NewPublicKey(host.Public())
	check(err)
	certPEM := pemText("CERTIFICATE", cert)
	public := string(ssh.MarshalAuthorizedKey(hostPublic))
	return map[string]string{
		"hostkey":         string(pem.EncodeToMemory(hostBlock)),
		"hostkey-locked":  string(pem.EncodeToMemory(lockedBlock)),
		"hostkey-open":    string(pem.EncodeToMemory(hostBlock)),
		"hostkey-rsa":     pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa2048)),
		"hostkey-rsa1024": pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey(1024))),
		"hostkey.pub":     public,
		"user_ca.pub":     "# the signers\n\n" + public + public,
		"revoked":         "# lost\nSHA256:" + strings.Repeat("A", 43) + "\n",
		"wim.keys":        "no-pty,expiry-time=\"20301231Z\" " + public,
		"keys-wim":        "cert-authority " + public,
		"bad.keys": strings.ReplaceAll("environment=\"A=b\" K"+"from=\"*.example.com\" KK"+"permitopen=\"h:1\" x\n",
			"K", public),
		"token-p":        "a-token\n",
		"token-q":        "a-token",
		"token-t":        "a-token\r\n",
		"two-lines":      "a-token\nanother\n",
		"empty":          " \n",
		"ca.pem":         certPEM,
		"client.pem":     certPEM,
		"client-key.pem": pemText("PRIVATE KEY", clientDER),
		"nomad":          "#!/bin/sh\n",
	}
})

func rsaKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	check(err)
	return key
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// testdata returns the absolute path of a file in testdata/config, which is valid after inFixture.
func testdata(t testing.TB, name string) string {
	path, err := filepath.Abs(filepath.Join("..", "testdata", "config", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// inFixture changes to a new directory with all files.
func inFixture(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files() {
		mode := os.FileMode(0o600)
		switch name {
		case "hostkey-open":
			mode = 0o644
		case "nomad":
			mode = 0o700
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // despite the umask
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
}

// write writes a file.
func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// read returns a file.
func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
