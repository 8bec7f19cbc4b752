package acl

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/authkeys"
)

// Names of critical options and extensions of certificates (PROTOCOL.certkeys of OpenSSH).
const (
	optionForceCommand   = "force-command"
	optionSourceAddress  = "source-address"
	optionVerifyRequired = "verify-required"
	permitPTY            = "permit-pty"
	permitForwarding     = "permit-port-forwarding"
	noTouchRequired      = "no-touch-required"
)

const maxPrincipals = 256 // as in OpenSSH

// findCertificate is Find for a certificate. It tries Rules.CAs, and then the CAs in this user's keys file.
func (d *Directory) findCertificate(p Proof, cert *ssh.Certificate) (Login, error) {
	ca := cert.SignatureKey.Marshal()
	var user Account
	var ownCAs []authkeys.Options
	account, exists := d.accounts[p.Login]
	if exists {
		user, ownCAs = account.Account, account.cas[string(ca)]
	}
	refused := fmt.Errorf("the certificate is signed by an unknown CA, %s", ssh.FingerprintSHA256(cert.SignatureKey))
	if d.cas[string(ca)] {
		login, err := d.certificateLogin(p, cert, []string{p.Login})
		switch {
		case err != nil:
		case exists && !user.Certificates:
			err = errors.New("the configuration of this user does not allow certificates (cert = true)")
		default:
			certified := user
			if !exists {
				certified.User = User{Login: p.Login, Name: p.Login}
			}
			certified.Groups = d.principalGroups(certified.Groups, cert)
			login, err = d.finish(p, cert, login, certified)
		}
		if err == nil {
			return login, nil
		}
		refused = err
	}
	for _, options := range ownCAs {
		login, err := d.accountCALogin(p, cert, options)
		if err == nil {
			login, err = d.finish(p, cert, login, user)
		}
		if err == nil {
			return login, nil
		}
		refused = err
	}
	return Login{}, refused
}

// accountCALogin applies the options of a CA in the user's keys file and those of the certificate. The login may do
// only what both permit.
func (d *Directory) accountCALogin(p Proof, cert *ssh.Certificate, ca authkeys.Options) (Login, error) {
	byKey, err := keyLogin(p, ca)
	if err != nil {
		return Login{}, err
	}
	principals := ca.Principals
	if principals == nil {
		principals = []string{p.Login}
	}
	login, err := d.certificateLogin(p, cert, principals)
	if err != nil {
		return Login{}, err
	}
	if !byKey.Expires.IsZero() && (login.Expires.IsZero() || byKey.Expires.Before(login.Expires)) {
		login.Expires = byKey.Expires
	}
	switch {
	case login.Command == nil:
		login.Command = byKey.Command
	case byKey.Command != nil && *byKey.Command != *login.Command:
		return Login{}, errors.New("the certificate's force-command differs from the command= in the keys file")
	}
	if byKey.NoTerminal != "" {
		login.NoTerminal = byKey.NoTerminal
	}
	if byKey.NoForwarding != "" {
		login.NoForwarding = byKey.NoForwarding
	}
	return login, nil
}

// certificateLogin checks everything in a certificate whose CA is trusted. It must have one of the principals.
func (d *Directory) certificateLogin(p Proof, cert *ssh.Certificate, principals []string) (Login, error) {
	if err := checkForm(cert); err != nil {
		return Login{}, err
	}
	if err := checkSignature(cert); err != nil {
		return Login{}, err
	}
	if err := d.checkValidity(cert, p.Time); err != nil {
		return Login{}, err
	}
	if !slices.ContainsFunc(principals, func(name string) bool { return slices.Contains(cert.ValidPrincipals, name) }) {
		return Login{}, fmt.Errorf("%.60q is not a principal of the certificate, which has %s", principals[0],
			quoteSome(cert.ValidPrincipals))
	}
	login := Login{}
	if cert.ValidBefore != ssh.CertTimeInfinity {
		login.Expires = time.Unix(int64(cert.ValidBefore), 0)
	}
	for name, value := range cert.CriticalOptions {
		switch name {
		case optionForceCommand:
			if strings.TrimSpace(value) == "" {
				return Login{}, errors.New("the certificate's force-command is empty")
			}
			login.Command = &value
		case optionSourceAddress:
			if err := checkSourceAddress(value, p.Remote); err != nil {
				return Login{}, err
			}
		case optionVerifyRequired:
			return Login{}, errors.New("the certificate requires the PIN of a security key (verify-required), " +
				"which the gateway cannot check")
		default:
			return Login{}, fmt.Errorf("the certificate has the unknown critical option %.60q", name)
		}
	}
	if _, ok := cert.Extensions[permitPTY]; !ok {
		login.NoTerminal = "your certificate does not permit terminals (it has no permit-pty extension)"
	}
	if _, ok := cert.Extensions[permitForwarding]; !ok {
		login.NoForwarding = "your certificate does not permit port forwarding (it has no permit-port-forwarding extension)"
	}
	return login, nil
}

// checkForm checks what does not depend on the login or the time.
func checkForm(cert *ssh.Certificate) error {
	_, noTouch := cert.Extensions[noTouchRequired]
	switch {
	case cert.CertType == ssh.HostCert:
		return errors.New("the certificate is for hosts, not for users")
	case cert.CertType != ssh.UserCert:
		return fmt.Errorf("the certificate has the unknown type %d", cert.CertType)
	case len(cert.ValidPrincipals) == 0:
		return errors.New("the certificate has no principals")
	case slices.Contains(cert.ValidPrincipals, ""):
		return errors.New("the certificate has an empty principal")
	case len(cert.ValidPrincipals) > maxPrincipals:
		return fmt.Errorf("the certificate has more than %d principals", maxPrincipals)
	case strings.Contains(cert.KeyId+strings.Join(cert.ValidPrincipals, ""), "\x00"):
		return errors.New("the certificate's key ID or a principal contains a zero byte")
	case noTouch && authkeys.IsSecurityKey(cert):
		return errors.New("the certificate waives the touch of the security key (no-touch-required)")
	}
	return nil
}

// checkSignature checks that the CA has signed the certificate. Like sshd, it refuses signatures with SHA-1.
func checkSignature(cert *ssh.Certificate) error {
	if format := cert.Signature.Format; format == ssh.KeyAlgoRSA || format == "ssh-dss" {
		return fmt.Errorf("the CA has signed the certificate with %s, which is no longer safe", format)
	}
	if weakness := authkeys.Weakness(cert.SignatureKey); weakness != "" {
		return errors.New("the CA's key " + weakness)
	}
	// The library has no function for the signature alone. So make it accept the options and the time, which have their
	// own checks.
	start := time.Unix(int64(min(cert.ValidAfter, math.MaxInt64)), 0)
	checker := ssh.CertChecker{
		SupportedCriticalOptions: slices.Collect(maps.Keys(cert.CriticalOptions)),
		Clock:                    func() time.Time { return start },
	}
	if err := checker.CheckCert(cert.ValidPrincipals[0], cert); err != nil {
		return fmt.Errorf("the certificate is damaged or forged: %w", err)
	}
	return nil
}

// checkValidity checks the period in which the certificate is valid.
func (d *Directory) checkValidity(cert *ssh.Certificate, now time.Time) error {
	unix := uint64(max(0, now.Unix()))
	limit := d.rules.MaxValidity
	switch {
	case cert.ValidAfter > unix:
		return fmt.Errorf("the certificate is not valid before %s", formatUnix(cert.ValidAfter))
	case cert.ValidBefore <= unix:
		return fmt.Errorf("the certificate expired at %s", formatUnix(cert.ValidBefore))
	case limit == 0:
	case cert.ValidBefore == ssh.CertTimeInfinity:
		return fmt.Errorf("the certificate never expires, but auth.maxvalidity is %s", limit)
	case cert.ValidBefore-cert.ValidAfter > uint64(limit/time.Second):
		return fmt.Errorf("the certificate is valid for more than auth.maxvalidity, which is %s", limit)
	}
	return nil
}

// formatUnix formats a time of a certificate. Times far in the future have no usual format.
func formatUnix(seconds uint64) string {
	if seconds > math.MaxInt32*100 {
		return fmt.Sprintf("second %d", seconds)
	}
	return formatTime(time.Unix(int64(seconds), 0))
}

// checkSourceAddress checks the networks from which a certificate may be used.
func checkSourceAddress(list string, remote netip.Addr) error {
	var networks []netip.Prefix
	for _, text := range strings.Split(list, ",") {
		network, err := authkeys.ParseNetwork(text)
		if err != nil {
			return fmt.Errorf("the certificate's source-address %.60q %w", text, err)
		}
		networks = append(networks, network)
	}
	if !authkeys.InNetworks(remote, networks) {
		return errors.New("the certificate may not be used from this address (source-address)")
	}
	return nil
}

// quoteSome returns a few untrusted names in quotes.
func quoteSome(names []string) string {
	const maxNames = 5
	var quoted []string
	for _, name := range names[:min(len(names), maxNames)] {
		quoted = append(quoted, fmt.Sprintf("%.60q", name))
	}
	if more := len(names) - maxNames; more > 0 {
		quoted = append(quoted, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(quoted, ", ")
}
