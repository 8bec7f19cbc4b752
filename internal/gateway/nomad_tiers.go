package gateway

import (
	"log/slog"

	"nomadctld/backends/nomad"
	"nomadctld/config"
	"nomadctld/internal/metrics"
)

// nomadTiers returns the settings of the clients. log may be nil.
func nomadTiers(tiers []config.Tier, m *metrics.Recorder, log *slog.Logger) []nomad.Tier {
	var all []nomad.Tier
	states := newTierLog(log)
	for _, t := range tiers {
		tier := nomad.Tier{Name: t.Name, URL: t.URL, TokenFile: t.TokenFile, TLS: t.TLS, Metrics: m}
		if log != nil {
			tier.OnState = states.observer(t.Name, t.URL)
		}
		all = append(all, tier)
	}
	return all
}
