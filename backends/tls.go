package backends

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS names the PEM files for encrypted connections. Cert and Key come together or not at all.
type TLS struct {
	CA         string // certificates to trust instead of the system's
	Cert, Key  string // to show; read anew for each connection
	ServerName string // to expect in the other side's certificate instead of the host
}

// ErrClientCertificate is a certificate or key that could be read when the gateway began, and cannot any more.
var ErrClientCertificate = errors.New("the gateway's certificate cannot be read")

// Load reads the files; nil without any setting. One that is missing is an error, and never a connection that is not
// verified, as it is in some clients' own ways of reading them.
func (t TLS) Load() (*tls.Config, error) {
	if t == (TLS{}) {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate in PEM", t.CA)
		}
	}
	switch {
	case t.Cert == "" && t.Key == "":
		return config, nil
	case t.Key == "":
		return nil, fmt.Errorf("%s: a certificate without a key", t.Cert)
	case t.Cert == "":
		return nil, fmt.Errorf("%s: a key without a certificate", t.Key)
	}
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Cert, err)
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, ErrClientCertificate // users read it, and no path is theirs to know
		}
		return &cert, nil
	}
	return config, nil
}
