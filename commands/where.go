package commands

import (
	"github.com/spf13/pflag"

	"nomadctld/backends"
)

// where is the flags by which commands that list are narrowed down.
type where struct{ tier, namespace string }

func (w *where) bind(flags *pflag.FlagSet) {
	flags.StringVar(&w.tier, "tier", "", "only this `TIER`")
	flags.StringVar(&w.namespace, "namespace", "", "only this `NAMESPACE` of Nomad")
}

func (w *where) selection() backends.Selection {
	return backends.Selection{Tier: w.tier, Namespace: w.namespace}
}
