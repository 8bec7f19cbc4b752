package checkonline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// checkToken checks the token and what its policies allow. It reports whether more can be checked with it.
func (c *check) checkToken(ctx context.Context) bool {
	var self struct{ AccessorID, Type string }
	_, err := c.get(ctx, "/v1/acl/token/self", &self)
	var refused *statusError
	switch {
	case errors.As(err, &refused) && strings.Contains(refused.body, "ACL support disabled"): // older versions
		self.AccessorID = "acls-disabled"
	case errors.As(err, &refused) && c.token != "" && isBadToken(refused):
		c.add("token", Error, fmt.Sprintf("Nomad does not accept the token: %s", refused.body),
			"create a token (nomad acl token create) and write it to the file that the setting token names")
		return false
	case err != nil:
		c.add("token", Error, withoutURL(err).Error(), "check the Nomad servers: nomad server members")
		return false
	}
	switch {
	case self.AccessorID == "acls-disabled":
		c.add("token", OK, "ACLs are off, so Nomad allows everything to everybody", "")
		return true
	case self.Type == "management":
		c.add("token", Warning, "a management token: it may do everything", "use a policy of deploy/ instead")
		return true
	case c.token == "":
		c.add("token", Error, "ACLs are on, but this tier has no token", "write a token to a file, and set token to its path")
		return false
	}
	granted, err := c.capabilities(ctx)
	if err != nil {
		c.add("token", Warning, fmt.Sprintf("accepted, but its policies cannot be read: %v", withoutURL(err)), "")
		return true
	}
	scopes := granted.scopes(c.namespaces)
	c.add("token", OK, "accepted; the gateway uses it "+namespacesText(scopes, scopes), "")
	c.commands(granted, scopes)
	return true
}

// isBadToken reports whether Nomad does not know a token. It has no common status for that: a text that is not a UUID
// is parsed as a workload identity.
func isBadToken(refused *statusError) bool {
	if refused.status == http.StatusForbidden {
		return true
	}
	return slices.ContainsFunc([]string{"token not found", "token expired", "token is invalid", "signed token"},
		func(part string) bool { return strings.Contains(refused.body, part) })
}

// capabilities reads the token's policies, including those of its roles.
func (c *check) capabilities(ctx context.Context) (rules, error) {
	var policies []struct{ Name string }
	if _, err := c.get(ctx, "/v1/acl/policies", &policies); err != nil {
		return nil, err
	}
	granted := rules{}
	for _, p := range policies {
		var policy struct {
			RulesJSON struct {
				Namespaces []struct {
					Name         string
					Capabilities []string // Nomad has added those of the rule's policy
				}
			}
		}
		if _, err := c.get(ctx, "/v1/acl/policy/"+url.PathEscape(p.Name), &policy); err != nil {
			return nil, err
		}
		for _, n := range policy.RulesJSON.Namespaces {
			if granted[n.Name] == nil {
				granted[n.Name] = map[string]bool{}
			}
			for _, capability := range n.Capabilities {
				granted[n.Name][capability] = true
			}
		}
	}
	for _, capabilities := range granted {
		if capabilities["deny"] {
			clear(capabilities)
		}
	}
	return granted, nil
}

// commands reports which commands the token does not permit, and in which of the scopes.
func (c *check) commands(granted rules, scopes []string) {
	missing, all := false, "all"
	for _, need := range Needs {
		lacking := slices.DeleteFunc(slices.Clone(scopes), func(n string) bool { return need.in(granted.in(n)) })
		if len(lacking) == 0 {
			continue
		}
		state, hint := need.missing()
		detail := fmt.Sprintf("does not permit %s", need.Commands)
		if len(lacking) < len(scopes) {
			detail += " " + namespacesText(lacking, scopes)
		}
		c.add("commands", state, detail, hint)
		missing, all = missing || state != OK, "all other"
	}
	if !missing {
		c.add("commands", OK, "permits "+all+" commands", "")
	}
}
