package config

import "net/netip"

// proxies checks the networks of proxies that send the PROXY protocol.
func (l *loader) proxies(listed list) []netip.Prefix {
	networks := l.networks(listed)
	for _, network := range networks {
		if network.Bits() == 0 {
			l.errorf(listed.at, `write the addresses of the proxies, such as ["10.0.0.5"]`,
				"%s contains every address, so any client could forge the address that the gateway sees", listed.name)
		}
	}
	if !listed.given {
		return nil
	}
	return networks
}
