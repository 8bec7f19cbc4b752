package sshd

import (
	"errors"
	"net"
	"net/netip"
	"slices"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/internal/audit"
)

// Names of the extensions in Permissions that hold the proven identity. Only verifiedKeyCallback writes them and only
// provenIdentity reads them. Nothing else that the library knows about offered keys is used.
const (
	provenLogin = "nomadctld-login"
	provenKey   = "nomadctld-key"
)

// serverConfig returns the SSH configuration for a connection, with these ciphers.
func (s *Server) serverConfig(c *connection, ciphers []string) *gossh.ServerConfig {
	config := &gossh.ServerConfig{
		Config:                    gossh.Config{Ciphers: ciphers, MACs: macs, KeyExchanges: keyExchanges},
		ServerVersion:             serverVersion,
		PublicKeyAuthAlgorithms:   gossh.SupportedAlgorithms().PublicKeyAuths,
		PublicKeyCallback:         s.offeredKeyCallback(c),
		VerifiedPublicKeyCallback: s.verifiedKeyCallback(c),
	}
	for _, key := range s.current().HostKeys {
		config.AddHostKey(key)
	}
	return config
}

var errNoSuchUser = errors.New("no such user with that key")

// offeredKeyCallback decides whether a client may go ahead and prove an offered key. It grants nothing. Like sshd, it
// rejects a second login name on a connection. The client does not learn the reason.
func (s *Server) offeredKeyCallback(
	c *connection,
) func(gossh.ConnMetadata, gossh.PublicKey) (*gossh.Permissions, error) {
	return func(meta gossh.ConnMetadata, key gossh.PublicKey) (perms *gossh.Permissions, err error) {
		err = errNoSuchUser
		defer s.recoverPanic("login", meta.RemoteAddr().String())
		tried := newLoginAttempt(meta.User(), key)
		same := c.sameLogin(tried.login)
		_, refused := s.current().Users.Find(s.newProof(meta, string(key.Marshal())))
		if !same {
			refused = acl.ErrNoSuchUser
		}
		if refused != nil {
			tried.reason = refused.Error()
			c.addRefused(tried)
			return nil, errNoSuchUser
		}
		c.setAccepted(tried)
		return &gossh.Permissions{}, nil
	}
}

// verifiedKeyCallback returns the identity for the key that has signed the login.
func (s *Server) verifiedKeyCallback(
	c *connection,
) func(gossh.ConnMetadata, gossh.PublicKey, *gossh.Permissions, string) (*gossh.Permissions, error) {
	return func(
		meta gossh.ConnMetadata, key gossh.PublicKey, _ *gossh.Permissions, _ string,
	) (perms *gossh.Permissions, err error) {
		err = errNoSuchUser
		defer s.recoverPanic("login", meta.RemoteAddr().String())
		wire := string(key.Marshal())
		login, refused := s.current().Users.Find(s.newProof(meta, wire))
		if refused != nil {
			return nil, errNoSuchUser
		}
		if !s.addLogin(c, login.User) {
			return nil, errTooManyConnections
		}
		perms = &gossh.Permissions{Extensions: map[string]string{provenLogin: meta.User(), provenKey: wire}}
		if cert, ok := key.(*gossh.Certificate); ok { // Find checks source-address; the library does so too
			perms.CriticalOptions = cert.CriticalOptions
		}
		return perms, nil
	}
}

// newProof returns the proof of a login with a key or certificate in SSH wire format.
func (s *Server) newProof(conn gossh.ConnMetadata, wire string) acl.Proof {
	return acl.Proof{Login: conn.User(), Key: wire, Remote: addressOf(conn.RemoteAddr()), Time: s.time()}
}

// addressOf returns the IP address of a client, or the zero Addr.
func addressOf(addr net.Addr) netip.Addr {
	address, _ := netip.ParseAddrPort(addr.String())
	return address.Addr()
}

// currentLogin returns what the proven key or certificate of a connection grants now, or why it is no longer accepted.
func (s *Server) currentLogin(conn *gossh.ServerConn) (acl.Login, error) {
	_, key, err := provenIdentity(conn)
	if err != nil {
		return acl.Login{}, err
	}
	return s.current().Users.Find(s.newProof(conn, key))
}

// provenIdentity returns the login and the public key or certificate (SSH wire format) that the client of conn has
// proven.
func provenIdentity(conn *gossh.ServerConn) (login, key string, err error) {
	if conn.Permissions == nil {
		return "", "", errNoSuchUser
	}
	login, key = conn.Permissions.Extensions[provenLogin], conn.Permissions.Extensions[provenKey]
	if login == "" || key == "" || login != conn.User() {
		return "", "", errNoSuchUser
	}
	return login, key, nil
}

// describeKey returns the SHA-256 fingerprint of a key in wire format. Of a certificate, it returns the fingerprint of
// its key, as ssh-keygen -l does, and the data of the certificate.
func describeKey(wire string) (fingerprint string, cert *audit.Certificate) {
	key, err := gossh.ParsePublicKey([]byte(wire))
	if err != nil {
		return "", nil
	}
	return fingerprintOf(key), audit.NewCertificate(key)
}

func fingerprintOf(key gossh.PublicKey) string {
	if cert, ok := key.(*gossh.Certificate); ok {
		key = cert.Key
	}
	return gossh.FingerprintSHA256(key)
}

// ParseHostKeys returns signers for PEM private keys, at most one of each type. RSA keys sign only with SHA-2.
func ParseHostKeys(files ...[]byte) ([]gossh.Signer, error) {
	var keys []gossh.Signer
	for _, pem := range files {
		key, err := gossh.ParsePrivateKey(pem)
		if err != nil {
			return nil, err
		}
		sameType := func(k gossh.Signer) bool { return k.PublicKey().Type() == key.PublicKey().Type() }
		if slices.ContainsFunc(keys, sameType) {
			return nil, errors.New("two host keys have the type " + key.PublicKey().Type())
		}
		if signer, ok := key.(gossh.AlgorithmSigner); ok && key.PublicKey().Type() == gossh.KeyAlgoRSA {
			// x/crypto would also offer SHA-1 signatures.
			key, err = gossh.NewSignerWithAlgorithms(signer, []string{gossh.KeyAlgoRSASHA512, gossh.KeyAlgoRSASHA256})
			if err != nil {
				return nil, err
			}
		}
		keys = append(keys, key)
	}
	return keys, nil
}
