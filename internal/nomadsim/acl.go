package nomadsim

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// httpError is an error response: a status and a plain text.
type httpError struct {
	status int
	text   string
}

func (f httpError) Error() string { return f.text }

var errDenied = httpError{http.StatusForbidden, "Permission denied"}

// deniedRPCText is the response of a client agent's streams to an unknown token.
const deniedRPCText = "rpc error: Permission denied"

type token struct {
	secret string
	rights Rights
	index  uint64
	added  time.Time
}

// AddToken adds a token with these rights. The first token turns ACL on. The secret "" is the anonymous token: the
// rights of a request without a token.
func (c *Cluster) AddToken(secret string, rights Rights) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[secret] = &token{secret, rights, c.nextIndex(), time.Now()}
}

// authenticate returns the token of a request. c.mu is held.
func (c *Cluster) authenticate(r *http.Request) (*token, error) {
	if len(c.tokens) == 0 {
		return &token{rights: Rights{Management: true}}, nil
	}
	secret := tokenSecret(r)
	if t := c.tokens[secret]; t != nil {
		return t, nil
	}
	if secret == "" {
		return &token{}, nil
	}
	return nil, errDenied
}

// hasUnknownToken reports whether the request has an unknown token.
func (c *Cluster) hasUnknownToken(r *http.Request) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, err := c.authenticate(r)
	return err != nil
}

func tokenSecret(r *http.Request) string {
	if s := r.Header.Get("X-Nomad-Token"); s != "" {
		return strings.TrimSpace(s)
	}
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "bearer") {
		if words := strings.Fields(value); len(words) > 0 {
			return words[0]
		}
	}
	return ""
}

// allows reports whether the rights include a capability in a namespace, or in any namespace for "*". As in Nomad,
// the rights of a named namespace replace those of "*".
func (r Rights) allows(namespace, capability string) bool {
	if r.Management {
		return true
	}
	if namespace == "*" {
		for _, has := range r.Namespaces {
			if slices.Contains(has, capability) {
				return true
			}
		}
		return false
	}
	has, named := r.Namespaces[namespace]
	if !named {
		has = r.Namespaces["*"]
	}
	return slices.Contains(has, capability)
}

// allowsAny reports whether the rights include any capability in a namespace.
func (r Rights) allowsAny(namespace string) bool {
	has, named := r.Namespaces[namespace]
	if !named {
		has = r.Namespaces["*"]
	}
	return r.Management || len(has) > 0
}

// tokenSelf returns the request's own token.
func tokenSelf(c *Cluster, q *query) (any, error) {
	t := q.token
	id := object{
		"AccessorID": uuid("accessor", t.secret), "SecretID": t.secret, "Name": "", "Type": "client",
		"Policies": []string{"sim"}, "Roles": nil, "Global": false, "Hash": nil, "CreateTime": stamp(t.added),
		"ExpirationTime": nil, "ExpirationTTL": 0, "CreateIndex": t.index, "ModifyIndex": t.index,
	}
	switch {
	case len(c.tokens) == 0:
		id["AccessorID"], id["Name"], id["Policies"] = "acls-disabled", "ACLs disabled token", nil
	case t.secret == "":
		id["AccessorID"], id["Name"], id["Policies"] = "anonymous", "Anonymous Token", []string{"anonymous"}
	case t.rights.Management:
		id["Type"], id["Policies"], id["Global"] = "management", nil, true
	}
	q.resultIndex = max(t.index, 1)
	return id, nil
}
