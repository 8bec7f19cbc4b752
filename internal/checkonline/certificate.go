package checkonline

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// renewBefore is the remaining validity below which a certificate is a warning.
const renewBefore = 30 * 24 * time.Hour

// certificate reports the earliest expiry date in a certificate chain.
func certificate(tier, title string, chain []*x509.Certificate, now time.Time) Fact {
	first := chain[0]
	for _, c := range chain {
		if c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	until := first.NotAfter.UTC().Format(time.DateOnly)
	switch left := first.NotAfter.Sub(now); {
	case left <= 0:
		return Fact{tier, "tls", Error, title + " expired on " + until, "renew it"}
	case left < renewBefore:
		detail := fmt.Sprintf("%s expires in %d days, on %s", title, int(left.Hours()/24), until)
		return Fact{tier, "tls", Warning, detail, "renew it"}
	}
	return Fact{tier, "tls", OK, title + " is valid until " + until, ""}
}

// certificateFile reports when the certificates of a file expire. It returns nothing if no file is set.
func certificateFile(tier, title, file string, now time.Time) []Fact {
	if file == "" {
		return nil
	}
	rest, err := os.ReadFile(file)
	if err != nil {
		return []Fact{{tier, "tls", Error, title + ": " + err.Error(), "check the file"}}
	}
	var chain []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if c, err := x509.ParseCertificate(block.Bytes); block.Type == "CERTIFICATE" && err == nil {
			chain = append(chain, c)
		}
	}
	if len(chain) == 0 {
		return []Fact{{tier, "tls", Error, title + ": no PEM certificate found in " + file, "check the file"}}
	}
	return []Fact{certificate(tier, title, chain, now)}
}

// isTLSError reports whether one side did not accept the certificate of the other, or its TLS settings.
func isTLSError(err error) bool {
	var failed *tls.CertificateVerificationError
	var op *net.OpError
	return errors.As(err, &failed) || errors.As(err, &op) && op.Op == "remote error" // a TLS alert
}

// expiredCertificate returns the server's certificates if err reports that one has expired, and otherwise nil.
func expiredCertificate(err error) []*x509.Certificate {
	var invalid x509.CertificateInvalidError
	var failed *tls.CertificateVerificationError
	if errors.As(err, &failed) && errors.As(err, &invalid) && invalid.Reason == x509.Expired &&
		time.Now().After(invalid.Cert.NotAfter) {
		return failed.UnverifiedCertificates
	}
	return nil
}
