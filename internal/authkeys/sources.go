package authkeys

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Sources is the address list of a from= option. The nil Sources allows every address.
type Sources struct{ patterns []sourcePattern }

// sourcePattern is a network, or a pattern for the text of an address.
type sourcePattern struct {
	negated bool
	network netip.Prefix
	text    string // the pattern, if network is the zero Prefix
}

// addressPattern matches patterns of addresses. Others are patterns of host names, for which sshd asks the DNS.
var addressPattern = regexp.MustCompile(`^[0-9a-fA-F:.*?]*[*?][0-9a-fA-F:.*?]*$`)

// parseSources parses a list of addresses, networks and patterns with * and ?, separated by commas. ! negates one.
func parseSources(list string) (*Sources, error) {
	s := &Sources{}
	for _, item := range strings.Split(list, ",") {
		var p sourcePattern
		item, p.negated = strings.CutPrefix(item, "!")
		if addressPattern.MatchString(item) {
			p.text = strings.ToLower(item)
		} else {
			var err error
			if p.network, err = ParseNetwork(item); err != nil {
				return nil, errors.New("has a from= option with something else than addresses, networks and patterns " +
					"of addresses: the gateway does not look up host names")
			}
		}
		s.patterns = append(s.patterns, p)
	}
	return s, nil
}

// Allow reports whether a client may connect from an address. A negated pattern that matches overrides the others.
func (s *Sources) Allow(address netip.Addr) bool {
	if s == nil {
		return true
	}
	allowed := false
	for _, p := range s.patterns {
		if p.matches(address) {
			if p.negated {
				return false
			}
			allowed = true
		}
	}
	return allowed
}

func (p sourcePattern) matches(address netip.Addr) bool {
	if p.network.IsValid() {
		return InNetworks(address, []netip.Prefix{p.network})
	}
	return address.IsValid() && matchText(p.text, address.Unmap().WithZone("").String())
}

// matchText matches a pattern in which * stands for any text and ? for one character.
func matchText(pattern, text string) bool {
	p, t := 0, 0
	star, retry := -1, 0 // the last * in pattern, and where in text to try again after it
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			retry++
			p, t = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// ParseNetwork parses an address or a network such as 10.0.0.0/8. Like sshd, it refuses an address with bits
// that the mask does not cover.
func ParseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("is not an address or a network such as 10.0.0.0/8")
	case network.Masked() != network:
		return netip.Prefix{}, fmt.Errorf("has bits outside of its mask (the network is %s)", network.Masked())
	case network.Addr().Is4In6():
		return netip.Prefix{}, errors.New("is an IPv4 network in IPv6 notation: write it as an IPv4 network")
	}
	return network, nil
}

// InNetworks reports whether an address is in one of the networks.
func InNetworks(address netip.Addr, networks []netip.Prefix) bool {
	address = address.Unmap().WithZone("")
	for _, network := range networks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}
