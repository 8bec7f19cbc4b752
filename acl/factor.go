package acl

import (
	"net/netip"
	"slices"
	"strings"

	"nomadctld/internal/authkeys"
)

// Factor is something that a login proves besides having a key.
type Factor string

// The factors that a group can require.
const (
	FactorCertificate Factor = "cert" // the login has used a certificate
	FactorSecurityKey Factor = "sk"   // the key is on a FIDO security key, which was touched
)

// factorTexts describes a login with a factor.
var factorTexts = map[Factor]string{FactorCertificate: "a certificate", FactorSecurityKey: "a security key"}

// restrict returns the user with the rights that a login from an address grants. A right for which the login lacks
// something becomes a locked right of its group, so that Decide can state the reason.
func (u User) restrict(from netip.Addr, proven []Factor) User {
	groups := make([]Group, len(u.Groups))
	for i, g := range u.Groups {
		granted := []string{}
		locked := map[string]string{}
		for _, right := range g.Rights {
			if missing := g.missing(right, from, proven); missing != "" {
				locked[right] = missing
			} else {
				granted = append(granted, right)
			}
		}
		if len(locked) > 0 {
			g.Rights, g.locked = granted, locked
		}
		groups[i] = g
	}
	u.Groups = groups
	return u
}

// missing returns the requirement that a login does not meet for a right, worded to follow "granted only", such as "to
// a login with a certificate". It returns "" if the login has the right.
func (g Group) missing(right string, from netip.Addr, proven []Factor) string {
	if !g.allows(from) {
		return "to a login from " + joinNetworks(g.From)
	}
	var missing []string
	for _, factor := range g.Require[right] {
		if !slices.Contains(proven, factor) {
			missing = append(missing, factorTexts[factor])
		}
	}
	if len(missing) > 0 {
		return "to a login with " + strings.Join(missing, " and ")
	}
	return ""
}

// allows reports whether the rights of the group apply to a login from an address.
func (g Group) allows(from netip.Addr) bool {
	return g.From == nil || authkeys.InNetworks(from, g.From)
}

func joinNetworks(networks []netip.Prefix) string {
	texts := make([]string, len(networks))
	for i, network := range networks {
		texts[i] = network.String()
	}
	return strings.Join(texts, ", ")
}

// Locked returns what the login lacks for a right that a group would grant otherwise, such as "to a login with a
// certificate", or "". A right that another group grants is not locked.
func (u User) Locked(right string) string {
	if u.May(right) {
		return ""
	}
	for _, g := range u.Groups {
		if missing := g.locked[right]; missing != "" {
			return missing
		}
	}
	return ""
}

// Locked returns the locked rights, sorted, by the requirement that the login does not meet, such as "to a login with a
// certificate".
func (g Group) Locked() map[string][]string {
	byMissing := map[string][]string{}
	for right, missing := range g.locked {
		byMissing[missing] = append(byMissing[missing], right)
	}
	for _, rights := range byMissing {
		slices.Sort(rights)
	}
	return byMissing
}
