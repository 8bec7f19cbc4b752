package nomad

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLS names the files for an https cluster; all may be empty.
type TLS struct {
	CA         string // certificates to trust instead of the system's
	Cert, Key  string // to show; read anew for each connection
	ServerName string // to expect in the cluster's certificate instead of the URL's host
}

// load reads the files, so that a missing one is an error and never a connection that is not verified.
func (t TLS) load() (*tls.Config, error) {
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
	if t.Cert != "" || t.Key != "" {
		show := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
			return &cert, err
		}
		if _, err := show(nil); err != nil {
			return nil, err
		}
		config.GetClientCertificate = show
	}
	return config, nil
}
