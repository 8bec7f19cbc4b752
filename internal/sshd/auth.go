package sshd

import (
	"errors"
	"slices"

	gossh "golang.org/x/crypto/ssh"
)

// The names under which the proven identity lies in the connection's Permissions. They are written in one place,
// proven, and read in one place, identity; nothing that the library remembers of offers is ever looked at.
const (
	provenLogin = "nomadctld-login"
	provenKey   = "nomadctld-key"
)

// serverConfig returns how to shake hands with a client that has these ciphers.
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

// offeredKeyCallback says whether a client may go on to prove a key that it says it has. It grants nothing. A client that tries a
// second login is refused, as by sshd.
func (s *Server) offeredKeyCallback(c *connection) func(gossh.ConnMetadata, gossh.PublicKey) (*gossh.Permissions, error) {
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

// verifiedKeyCallback takes the identity from the key with which the client has signed.
func (s *Server) verifiedKeyCallback(c *connection) func(gossh.ConnMetadata, gossh.PublicKey, *gossh.Permissions, string) (*gossh.Permissions, error) {
	return func(meta gossh.ConnMetadata, key gossh.PublicKey, _ *gossh.Permissions, _ string) (perms *gossh.Permissions, err error) {
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

// provenIdentity returns the login and the key (SSH wire format) that the client of conn has proven.
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

func fingerprint(wire string) string {
	key, err := gossh.ParsePublicKey([]byte(wire))
	if err != nil {
		return ""
	}
	return gossh.FingerprintSHA256(key)
}

// ParseHostKeys returns signers for private keys in PEM, one of each type. An RSA key signs with SHA-2 alone.
func ParseHostKeys(files ...[]byte) ([]gossh.Signer, error) {
	var keys []gossh.Signer
	for _, pem := range files {
		key, err := gossh.ParsePrivateKey(pem)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys, func(k gossh.Signer) bool { return k.PublicKey().Type() == key.PublicKey().Type() }) {
			return nil, errors.New("two host keys are of the type " + key.PublicKey().Type())
		}
		if signer, ok := key.(gossh.AlgorithmSigner); ok && key.PublicKey().Type() == gossh.KeyAlgoRSA {
			// x/crypto would offer signatures with SHA-1 too.
			key, err = gossh.NewSignerWithAlgorithms(signer, []string{gossh.KeyAlgoRSASHA512, gossh.KeyAlgoRSASHA256})
			if err != nil {
				return nil, err
			}
		}
		keys = append(keys, key)
	}
	return keys, nil
}
