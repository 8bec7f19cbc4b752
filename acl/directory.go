package acl

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/authkeys"
	"nomadctld/internal/krl"
	"nomadctld/internal/loginname"
)

// Rules decide who may log in.
type Rules struct {
	Accounts []Account
	CAs      []ssh.PublicKey // sign certificates of users
	Revoked  *krl.List       // nil: nothing is revoked
	// MaxValidity bounds the time between the start and the end of a certificate's validity. 0: not bounded.
	MaxValidity time.Duration
	// Principals has the groups that a certificate gets for each of its principals, by principal. They are added to the
	// groups of the account, if there is one.
	Principals map[string][]Group
}

// Account is a user of the configuration.
type Account struct {
	User
	Keys         []authkeys.Key // the user's keys, and the keys of CAs for this user
	Certificates bool           // Rules.CAs may sign certificates for this user
	From         []netip.Prefix // nil: from everywhere
}

// Directory finds the user of a key or a certificate. It does not change, so goroutines can share it.
type Directory struct {
	rules    Rules
	cas      map[string]bool     // Rules.CAs in SSH wire format
	accounts map[string]*account // by login
}

// account is an Account with the options of its keys, by key in SSH wire format. A key may be listed several times.
type account struct {
	Account
	keys map[string][]authkeys.Options // of the user
	cas  map[string][]authkeys.Options // of CAs for the user
}

// NewDirectory returns a directory that decides by these rules.
func NewDirectory(rules Rules) *Directory {
	d := &Directory{rules: rules, cas: map[string]bool{}, accounts: map[string]*account{}}
	for _, ca := range rules.CAs {
		d.cas[string(ca.Marshal())] = true
	}
	for _, listed := range rules.Accounts {
		a := &account{listed, map[string][]authkeys.Options{}, map[string][]authkeys.Options{}}
		for _, key := range listed.Keys {
			options := a.keys
			if key.CertAuthority {
				options = a.cas
			}
			wire := string(key.Public.Marshal())
			options[wire] = append(options[wire], key.Options)
		}
		d.accounts[listed.Login] = a
	}
	return d
}

// Proof is a login name with a key or a certificate. The caller must have verified the client's signature, unless it
// only decides whether to let the client sign.
type Proof struct {
	Login  string
	Key    string     // public key or certificate in SSH wire format
	Remote netip.Addr // of the client; the zero Addr is in no network
	Time   time.Time
}

// Login is what a proof grants.
type Login struct {
	User         User      // with the rights that are granted to this login
	Expires      time.Time // the login is refused after this time; zero: it does not expire
	Command      *string   // the only command line that the login may run; nil: all
	NoTerminal   string    // why the login may not have a terminal; "": it may
	NoForwarding string    // why the login may not forward ports; "": it may
}

// ErrNoSuchUser is the error for a login or a key that is not in the configuration.
var ErrNoSuchUser = errors.New("no such user with that key")

// Find returns what a proof grants, or why it is refused. The error is for the gateway's logs. A client must not see it
// before the login, because it depends on the configuration of the user.
func (d *Directory) Find(p Proof) (Login, error) {
	key, err := ssh.ParsePublicKey([]byte(p.Key))
	if err != nil || !loginname.Valid(p.Login) {
		return Login{}, ErrNoSuchUser
	}
	cert, isCert := key.(*ssh.Certificate)
	if isCert {
		return d.findCertificate(p, cert)
	}
	account, ok := d.accounts[p.Login]
	if !ok {
		return Login{}, ErrNoSuchUser
	}
	refused := ErrNoSuchUser
	for _, options := range account.keys[string(key.Marshal())] {
		login, err := keyLogin(p, options)
		if err == nil {
			return d.finish(p, key, login, account.Account)
		}
		refused = err
	}
	return Login{}, refused
}

// keyLogin applies the options of a listed key.
func keyLogin(p Proof, options authkeys.Options) (Login, error) {
	login := Login{Expires: options.Expires, Command: options.Command}
	switch {
	case !options.Expires.IsZero() && p.Time.After(options.Expires):
		return Login{}, fmt.Errorf("the key expired at %s", formatTime(options.Expires))
	case !options.From.Allow(p.Remote):
		return Login{}, errors.New("the key may not be used from this address (from= in the keys file)")
	}
	if options.NoTerminal {
		login.NoTerminal = "your key does not permit terminals (no-pty in the keys file)"
	}
	if options.NoForwarding {
		login.NoForwarding = "your key does not permit port forwarding (no-port-forwarding in the keys file)"
	}
	return login, nil
}

// finish applies the rules that keys and certificates share, and sets the login's user.
func (d *Directory) finish(p Proof, key ssh.PublicKey, login Login, account Account) (Login, error) {
	user := account.User
	factors := []Factor{}
	if _, isCert := key.(*ssh.Certificate); isCert {
		factors = append(factors, FactorCertificate)
	}
	if authkeys.IsSecurityKey(key) {
		factors = append(factors, FactorSecurityKey)
	}
	allowed := func(g Group) bool { return g.allows(p.Remote) }
	revoked := d.rules.Revoked.Check(key)
	weakness := authkeys.Weakness(key)
	switch {
	case revoked != "":
		return Login{}, errors.New(revoked)
	case weakness != "":
		return Login{}, errors.New("the key " + weakness)
	case account.From != nil && !authkeys.InNetworks(p.Remote, account.From):
		return Login{}, errors.New("the user may not log in from this address (from)")
	case len(user.Groups) == 0:
		return Login{}, errors.New("the user is in no prefix group")
	case !slices.ContainsFunc(user.Groups, allowed):
		return Login{}, errors.New("none of the user's prefix groups allows this address (from)")
	}
	if login.Command != nil && login.NoForwarding == "" {
		login.NoForwarding = "your login may only run one command, so it may not forward ports"
	}
	login.User = user.restrict(p.Remote, factors)
	return login, nil
}

// principalGroups adds the groups of the certificate's principals.
func (d *Directory) principalGroups(groups []Group, cert *ssh.Certificate) []Group {
	byName := map[string]bool{}
	for _, g := range groups {
		byName[g.Name] = true
	}
	all := slices.Clone(groups)
	for _, principal := range slices.Compact(slices.Sorted(slices.Values(cert.ValidPrincipals))) {
		for _, g := range d.rules.Principals[principal] {
			if !byName[g.Name] {
				byName[g.Name] = true
				all = append(all, g)
			}
		}
	}
	return all
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
