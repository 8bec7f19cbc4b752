package sshd

import (
	"errors"
	"slices"

	gossh "golang.org/x/crypto/ssh"
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
	for _, key := range s.HostKeys {
		config.AddHostKey(key)
	}
	return config
}

var errNoSuchUser = errors.New("no such user with that key")

// offeredKeyCallback decides whether a client may go ahead and prove an offered key. It grants nothing. Like sshd, it
// rejects a second login name on a connection.
func (s *Server) offeredKeyCallback(
	c *connection,
) func(gossh.ConnMetadata, gossh.PublicKey) (*gossh.Permissions, error) {
	return func(meta gossh.ConnMetadata, key gossh.PublicKey) (perms *gossh.Permissions, err error) {
		err = errNoSuchUser
		defer s.recoverPanic("login", meta.RemoteAddr().String())
		tried := newLoginAttempt(meta.User(), gossh.FingerprintSHA256(key))
		same := c.sameLogin(tried.login)
		if _, ok := s.Users.Find(meta.User(), string(key.Marshal())); !ok || !same {
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
		if _, ok := s.Users.Find(meta.User(), wire); !ok {
			return nil, errNoSuchUser
		}
		if !s.addLogin(c, meta.User()) {
			return nil, errTooManyConnections
		}
		return &gossh.Permissions{Extensions: map[string]string{provenLogin: meta.User(), provenKey: wire}}, nil
	}
}

// provenIdentity returns the login and the public key (SSH wire format) that the client of conn has proven.
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

// fingerprint returns the SHA-256 fingerprint of a key in wire format, or "".
func fingerprint(wire string) string {
	key, err := gossh.ParsePublicKey([]byte(wire))
	if err != nil {
		return ""
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
