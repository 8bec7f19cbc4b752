package dockertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// ServerName is a name in the server's certificate, besides localhost and 127.0.0.1.
const ServerName = "docker.test"

// Certificates are paths of PEM files that exist until the test ends.
type Certificates struct {
	CA        string // signed the server's and the client's certificate
	Cert, Key string // of the client
	OtherCA   string // signed neither
}

// newCertificates writes the PEM files and returns the configuration of the server.
func newCertificates(t testing.TB) (Certificates, *tls.Config) {
	t.Helper()
	dir := t.TempDir()
	ca, other := newAuthority(t, "dockertest"), newAuthority(t, "other")
	server := ca.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "server"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost", ServerName}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	client := ca.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	key, err := x509.MarshalPKCS8PrivateKey(client.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	files := Certificates{
		CA:      write("ca.pem", "CERTIFICATE", ca.cert.Raw),
		Cert:    write("client.pem", "CERTIFICATE", client.Certificate[0]),
		Key:     write("client-key.pem", "PRIVATE KEY", key),
		OtherCA: write("other-ca.pem", "CERTIFICATE", other.cert.Raw),
	}
	return files, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{server},
		ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// authority is a certificate authority.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return authority{issue(t, template, template, key, key), key}
}

// sign issues a certificate with a new key.
func (a authority) sign(t testing.TB, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	return tls.Certificate{Certificate: [][]byte{issue(t, template, a.cert, key, a.key).Raw}, PrivateKey: key}
}

// issue creates a certificate for key that is valid for an hour.
func issue(t testing.TB, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
