package sshd

import (
	"errors"
	"slices"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// The names under which the proven identity lies in the connection's Permissions. They are written in one place,
// proven, and read in one place, identity; nothing that the library remembers of offers is ever looked at.
const (
	provenLogin = "nomadctld-login"
	provenKey   = "nomadctld-key"
)

// offered says whether a client may go on to prove a key that it says it has. It grants nothing. The library tells
// it the user name of the connection's first attempt: who tries several is refused here.
func (s *Server) offered(ctx ssh.Context, key ssh.PublicKey) bool {
	defer s.recovered("login", ctx.RemoteAddr().String())
	_, ok := s.Users.Find(ctx.User(), string(key.Marshal()))
	if !ok {
		connectionOf(ctx).refuse(ctx.User(), gossh.FingerprintSHA256(key))
	}
	return ok
}

// serverConfig allows the algorithms without known weaknesses, and takes the identity from the key with which
// the client has signed.
func (s *Server) serverConfig(ctx ssh.Context) *gossh.ServerConfig {
	good := gossh.SupportedAlgorithms()
	return &gossh.ServerConfig{
		Config:                    gossh.Config{Ciphers: s.ciphers(connectionOf(ctx)), MACs: good.MACs, KeyExchanges: good.KeyExchanges},
		PublicKeyAuthAlgorithms:   good.PublicKeyAuths,
		VerifiedPublicKeyCallback: s.proven(connectionOf(ctx)),
	}
}

var errUnknown = errors.New("no such user with that key")

func (s *Server) proven(c *connection) func(gossh.ConnMetadata, gossh.PublicKey, *gossh.Permissions, string) (*gossh.Permissions, error) {
	return func(meta gossh.ConnMetadata, key gossh.PublicKey, _ *gossh.Permissions, _ string) (perms *gossh.Permissions, err error) {
		err = errUnknown
		defer s.recovered("login", meta.RemoteAddr().String())
		wire := string(key.Marshal())
		if _, ok := s.Users.Find(meta.User(), wire); !ok {
			return nil, errUnknown
		}
		c.grownUp()
		return &gossh.Permissions{Extensions: map[string]string{provenLogin: meta.User(), provenKey: wire}}, nil
	}
}

// identity returns the login and the key (SSH wire format) that the client of conn has proven.
func identity(conn *gossh.ServerConn) (login, key string, err error) {
	if conn.Permissions == nil {
		return "", "", errUnknown
	}
	login, key = conn.Permissions.Extensions[provenLogin], conn.Permissions.Extensions[provenKey]
	if login == "" || key == "" || login != conn.User() {
		return "", "", errUnknown
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
