package gateway

import (
	"slices"

	"nomadctld/backends/nomad"
	"nomadctld/config"
	"nomadctld/internal/metrics"
)

// nomadTiers returns the settings of the clients. states may be nil.
func nomadTiers(tiers []config.Tier, m *metrics.Recorder, states *tierLog) []nomad.Tier {
	var all []nomad.Tier
	for _, t := range tiers {
		tier := nomad.Tier{Name: t.Name, URL: t.URL, TokenFile: t.TokenFile, TLS: t.TLS, Metrics: m}
		if states != nil {
			tier.OnState = states.observer(t.Name, t.URL)
		}
		all = append(all, tier)
	}
	return all
}

// clusterOf returns a function that identifies the cluster of a tier. Several tiers may share a cluster.
func clusterOf(tiers []config.Tier) func(tier string) string {
	return func(tier string) string {
		i := slices.IndexFunc(tiers, func(t config.Tier) bool { return t.Name == tier })
		if i < 0 { // a saved job of a tier that was removed from the configuration
			return tier
		}
		return tiers[i].URL
	}
}
