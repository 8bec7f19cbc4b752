package checkonline

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
		c.add("token", Error, "Nomad does not accept the token: "+refused.body,
			"create one with nomad acl token create and write it to the file that the key token names")
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
		c.add("token", Error, "ACLs are on, but this tier has no token", "set the key token to the file with one")
		return false
	}
	granted, err := c.capabilities(ctx)
	if err != nil {
		c.add("token", Warning, fmt.Sprintf("accepted, but its policies cannot be read: %v", withoutURL(err)), "")
		return true
	}
	c.add("token", OK, "accepted; namespaces of its rules: "+strings.Join(granted.namespaces, ", "), "")
	c.commands(granted)
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

// granted has the capabilities of a token.
type granted struct {
	namespaces   []string        // of its rules, which may contain *
	capabilities map[string]bool // in at least one namespace
}

// capabilities reads the token's policies, including those of its roles.
func (c *check) capabilities(ctx context.Context) (granted, error) {
	g := granted{capabilities: map[string]bool{}}
	var policies []struct{ Name string }
	if _, err := c.get(ctx, "/v1/acl/policies", &policies); err != nil {
		return g, err
	}
	rules := map[string]map[string]bool{} // capabilities by namespace
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
			return g, err
		}
		for _, n := range policy.RulesJSON.Namespaces {
			if rules[n.Name] == nil {
				rules[n.Name] = map[string]bool{}
			}
			for _, capability := range n.Capabilities {
				rules[n.Name][capability] = true
			}
		}
	}
	for _, capabilities := range rules {
		if !capabilities["deny"] {
			maps.Copy(g.capabilities, capabilities)
		}
	}
	g.namespaces = slices.Sorted(maps.Keys(rules))
	return g, nil
}

// commands reports which commands the token cannot do.
func (c *check) commands(g granted) {
	missing := 0
	for _, need := range Needs {
		if slices.ContainsFunc(need.AnyOf, func(capability string) bool { return g.capabilities[capability] }) {
			continue
		}
		missing++
		state, hint := Warning, fmt.Sprintf("add the capability %q if users need it", need.AnyOf[0])
		if need.All {
			state, hint = Error, fmt.Sprintf("add the capability %q to the policy of the token", need.AnyOf[0])
		}
		c.add("commands", state, "cannot "+need.Commands, hint)
	}
	if missing == 0 {
		c.add("commands", OK, "the token has the capabilities of all commands", "")
	}
}
