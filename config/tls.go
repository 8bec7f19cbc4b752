package config

import (
	"crypto/tls"

	"nomadctld/internal/tlsfiles"
)

// tls reads a [....tls] table. reason is why the connection is not encrypted, and scheme is the one that would encrypt
// it.
func (l *loader) tls(t *table, encrypted bool, reason, scheme string) tlsfiles.Files {
	defer t.reportUnknownKeys()
	ca := t.text("ca", `ca = "/etc/nomadctld/ca.pem"`)
	cert := t.text("cert", `cert = "/etc/nomadctld/client.pem"`)
	key := t.text("key", `key = "/etc/nomadctld/client-key.pem"`)
	server := t.text("servername", `servername = "server.global.nomad"`)
	if t.node != nil && len(t.node.children) > 0 && !encrypted {
		l.errorf(t.node.key, "use "+scheme+"://, or remove the table", "%s has no effect, because %s", t.name, reason)
	}
	if data, ok := l.loadCheckedFile(ca, false); ok {
		if _, err := tlsfiles.CertPool(data); err != nil {
			l.errorf(ca.at, "name a file with a certificate in PEM format",
				"%s: file %s contains no certificate", ca.name, quote(ca.text))
		}
	}
	certPEM, haveCert := l.loadCheckedFile(cert, false)
	keyPEM, haveKey := l.loadCheckedFile(key, true)
	switch {
	case cert.given && !key.given:
		l.errorf(cert.at, "set the key too", "%s is set, but %s is not", cert.name, key.name)
	case key.given && !cert.given:
		l.errorf(key.at, "set the certificate too", "%s is set, but %s is not", key.name, cert.name)
	case haveCert && haveKey:
		if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
			l.errorf(cert.at, "name a PEM certificate and its PEM key", "%s and %s do not match", cert.name, key.name)
		}
	}
	return tlsfiles.Files{CA: ca.text, Cert: cert.text, Key: key.text, ServerName: server.text}
}
