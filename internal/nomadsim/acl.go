package nomadsim

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// deniedRPCText is the response of a client agent's streams to an unknown token.
const deniedRPCText = "rpc error: Permission denied"

type token struct {
	secret string
	rights Rights
	index  uint64
	added  time.Time
}

// acl contains the tokens of a cluster. Without a token, ACL is off.
type acl struct {
	mu     sync.RWMutex      // guards tokens; locked after the store's lock, never before it
	tokens map[string]*token // by secret
}

// AddToken adds a token with these rights. The first token turns ACL on. The secret "" is the anonymous token: the
// rights of a request without a token.
func (c *Cluster) AddToken(secret string, rights Rights) {
	c.store.Update(func(st *store.State) {
		c.acl.mu.Lock()
		defer c.acl.mu.Unlock()
		c.acl.tokens[secret] = &token{secret, rights, st.NextIndex(), time.Now()}
	})
}

// off reports whether ACL is off.
func (l *acl) off() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.tokens) == 0
}

// authenticate returns the token of a request.
func (l *acl) authenticate(r *http.Request) (*token, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.tokens) == 0 {
		return &token{rights: Rights{Management: true}}, nil
	}
	secret := tokenSecret(r)
	if t := l.tokens[secret]; t != nil {
		return t, nil
	}
	if secret == "" {
		return &token{}, nil
	}
	return nil, jobspec.ErrDenied
}

// servedAnonymously reports whether the request needs no token: ACL is off, or the request has no token and there is an
// anonymous policy.
func (l *acl) servedAnonymously(r *http.Request) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	_, anonymous := l.tokens[""]
	return len(l.tokens) == 0 || tokenSecret(r) == "" && anonymous
}

// accessor returns the token ID that Nomad stores in a job, or "" if ACL is off.
func (l *acl) accessor(t *token) string {
	if l.off() {
		return ""
	}
	return jobspec.UUID("accessor", t.secret)
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
func tokenSelf(c *Cluster, st *store.State, q *query) (any, error) {
	t := q.token
	id := object{
		"AccessorID": jobspec.UUID("accessor", t.secret), "SecretID": t.secret, "Name": "", "Type": "client",
		"Policies": []string{"sim"}, "Roles": nil, "Global": false, "Hash": nil, "CreateTime": store.Stamp(t.added),
		"ExpirationTime": nil, "ExpirationTTL": 0, "CreateIndex": t.index, "ModifyIndex": t.index,
	}
	switch {
	case c.acl.off():
		id["AccessorID"], id["Name"], id["Policies"] = "acls-disabled", "ACLs disabled token", nil
	case t.secret == "":
		id["AccessorID"], id["Name"], id["Policies"] = "anonymous", "Anonymous Token", []string{"anonymous"}
	case t.rights.Management:
		id["Type"], id["Policies"], id["Global"] = "management", nil, true
	}
	q.resultIndex = max(t.index, 1)
	return id, nil
}

// Rights are the rights of a token. The zero value has none.
type Rights struct {
	Management bool
	Namespaces map[string][]string // capabilities such as "read-job" by namespace; "*" is any other namespace
	NodeRead   bool
}
