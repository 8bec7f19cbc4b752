package backends

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS names the PEM files for encrypted connections. Cert and Key are set both or not at all.
type TLS struct {
	CA         string // CA certificates to trust instead of the system's
	Cert, Key  string // client certificate; read again for each connection
	ServerName string // expected in the server's certificate instead of the host
}

// ErrClientCertificate reports that a certificate or key, which was valid when the gateway started, cannot be read now.
var ErrClientCertificate = errors.New("the gateway's certificate cannot be read")

// Load reads the files. It returns nil if nothing is set. A missing file is an error: some client libraries would
// silently connect without verification.
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
			return nil, fmt.Errorf("%s: no PEM certificate found", t.CA)
		}
	}
	switch {
	case t.Cert == "" && t.Key == "":
		return config, nil
	case t.Key == "":
		return nil, fmt.Errorf("%s: certificate without a key", t.Cert)
	case t.Cert == "":
		return nil, fmt.Errorf("%s: key without a certificate", t.Key)
	}
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Cert, err)
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, ErrClientCertificate // users see this error, so it must not contain a path
		}
		return &cert, nil
	}
	return config, nil
}
