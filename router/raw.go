package router

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"nomadctld/internal/audit"
	"nomadctld/internal/nomadcli"
)

// Raw runs the nomad binary against a tier.
type Raw struct {
	Binary  nomadcli.Binary
	Cluster func(tier string) (nomadcli.Cluster, error) // with the token as it is now
}

// RedactRaw is Spec.Redact of the command whose words are a tier and those of the nomad binary.
func RedactRaw(args []string) []string {
	if len(args) == 0 {
		return args
	}
	return append(args[:1:1], nomadcli.Redact(args[1:], redactValue)...)
}

// RunRaw runs the nomad binary against the tier that name means, with the session's streams and terminal, and returns its
// exit code. "alles" and "all" are the tier whose jobs are named as the one among args. Only a tier in which the user has
// the right to raw can be named; there the binary may do what the tier's token may.
func (r *Request) RunRaw(ctx context.Context, name string, args []string) (code int, err error) {
	if r.Tier != "" {
		return 0, Exit(2, errors.New("raw: the tier is the first argument; there is no --tier"))
	}
	tier, err := r.resolveRawTier(name, args)
	if err != nil {
		return 0, r.Deny(err)
	}
	r.Event.Tier = tier
	if err := r.raw.Binary.Check(args); err != nil {
		if !errors.Is(err, nomadcli.ErrNoBinary) {
			r.Event.Decision = audit.Denied
		}
		return 0, err
	}
	cluster, err := r.raw.Cluster(tier)
	if err != nil {
		return 0, err
	}
	cluster.Namespace = r.Namespace
	var terminal *nomadcli.Terminal
	if t := r.Terminal; t != nil {
		terminal = &nomadcli.Terminal{Name: t.Name, NoColor: r.NoColor, Size: t.Size, Resized: t.Resized()}
	}
	return r.raw.Binary.Run(ctx, cluster, args, r.Stdin, r.Bytes.Stdout, r.Bytes.Stderr, terminal)
}

func (r *Request) resolveRawTier(name string, args []string) (string, error) {
	tiers, err := r.Cluster.(*scopedCluster).tiers(name)
	if err != nil {
		return "", err
	}
	if name == "" {
		return "", Exit(2, fmt.Errorf("raw: the tier has no name (yours: %s)", strings.Join(tiers, ", ")))
	}
	if name != "all" && name != "alles" {
		return tiers[0], nil
	}
	job, ok := nomadcli.JobArg(args)
	if !ok {
		return "", Exit(2, fmt.Errorf("raw %s takes the tier from the job that the command names, and this one names none: write the tier (yours: %s)", name, strings.Join(tiers, ", ")))
	}
	var fitting []string
	for _, ruling := range r.Decide("raw", job, r.Namespace) {
		if ruling.Allowed {
			fitting = append(fitting, ruling.Tier)
		}
	}
	if len(fitting) != 1 {
		return "", Exit(2, fmt.Errorf("raw %s: %d of your tiers have jobs that are named as %s: write the tier (yours: %s)", name, len(fitting), job, strings.Join(tiers, ", ")))
	}
	return fitting[0], nil
}
