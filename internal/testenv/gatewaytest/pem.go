package gatewaytest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"testing"
	"time"

	"nomadctld/internal/sshfiles"
)

// WritePEM writes NAME-ca.pem, NAME-cert.pem and NAME-key.pem.
func WritePEM(t testing.TB, dir sshfiles.Dir, names ...string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for suffix, block := range map[string]*pem.Block{
			"ca":   {Type: "CERTIFICATE", Bytes: cert},
			"cert": {Type: "CERTIFICATE", Bytes: cert}, "key": {Type: "PRIVATE KEY", Bytes: key},
		} {
			if err := os.WriteFile(dir.Path(name+"-"+suffix+".pem"), pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
