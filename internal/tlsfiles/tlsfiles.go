// Package tlsfiles names the PEM files of an encrypted connection and reads them. The configuration and the clients of
// Nomad and Docker share it, so a file that passes the check of the configuration is one that a client accepts.
package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// Files names the PEM files of a connection. Cert and Key are set both or not at all.
type Files struct {
	CA         string // CA certificates to trust instead of the system's
	Cert, Key  string // client certificate; see Load
	ServerName string // expected in the server's certificate instead of the host
}

// Load reads the files. It returns nil if nothing is set. A missing file is an error: some client libraries would
// silently connect without verification.
//
// The client certificate is read again for each connection. If that fails, for example because only one of the two
// files has been replaced yet, the last pair that was read is used.
func (f Files) Load() (*tls.Config, error) {
	if f == (Files{}) {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName}
	if f.CA != "" {
		pem, err := f.ReadCA()
		if err != nil {
			return nil, err
		}
		if config.RootCAs, err = CertPool(pem); err != nil {
			return nil, fmt.Errorf("%s: %w", f.CA, err)
		}
	}
	switch {
	case f.Cert == "" && f.Key == "":
		return config, nil
	case f.Key == "":
		return nil, fmt.Errorf("%s: certificate without a key", f.Cert)
	case f.Cert == "":
		return nil, fmt.Errorf("%s: key without a certificate", f.Key)
	}
	first, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Cert, err)
	}
	var latest atomic.Pointer[tls.Certificate]
	latest.Store(&first)
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if cert, err := tls.LoadX509KeyPair(f.Cert, f.Key); err == nil {
			latest.Store(&cert)
		}
		return latest.Load(), nil
	}
	return config, nil
}

// ReadCA returns the content of the CA file, or nil if none is set. Load does not notice when the file changes later.
func (f Files) ReadCA() ([]byte, error) {
	if f.CA == "" {
		return nil, nil
	}
	return os.ReadFile(f.CA)
}

// CertPool returns the certificates in a PEM text. It returns an error if there are none.
func CertPool(pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no PEM certificate found")
	}
	return pool, nil
}
