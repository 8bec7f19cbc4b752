package gateway

import (
	"fmt"
	"slices"

	"nomadctld/backends/nomad"
	"nomadctld/config"
	"nomadctld/internal/nomadcli"
	"nomadctld/router"
)

// newRaw returns the settings with which the command raw runs the nomad binary.
func newRaw(c *config.Config) (*router.Raw, error) {
	for _, words := range c.Raw.Allow {
		if !nomadcli.IsKnownPrefix(words) {
			return nil, fmt.Errorf("raw.allow: %q is not a nomad command that raw can run", words)
		}
	}
	return &router.Raw{
		Binary: nomadcli.Binary{Path: c.General.NomadBinary, Allow: c.Raw.Allow, User: c.Raw.User},
		Cluster: func(name string) (nomadcli.Cluster, error) {
			i := slices.IndexFunc(c.Tiers, func(t config.Tier) bool { return t.Name == name })
			t := c.Tiers[i]
			cluster := nomadcli.Cluster{URL: t.URL}
			var err error
			if cluster.TLS, err = t.TLS.Load(); err != nil {
				return cluster, fmt.Errorf("the certificates of tier %s cannot be read; tell the gateway's operator",
					name)
			}
			if cluster.Token, err = nomad.ReadToken(t.TokenFile); err != nil {
				return cluster, fmt.Errorf("the token of tier %s cannot be read; tell the gateway's operator", name)
			}
			return cluster, nil
		},
	}, nil
}
