package router

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/console"
	"nomadctld/internal/nomadcli"
)

// Raw runs the nomad binary against a tier.
type Raw struct {
	Binary  nomadcli.Binary
	Cluster func(tier string) (nomadcli.Cluster, error) // with the current token
}

// RedactRaw is Spec.Redact of raw: its arguments are a tier, then those of the nomad binary.
func RedactRaw(args []string) []string {
	if len(args) == 0 {
		return args
	}
	return append(args[:1:1], nomadcli.Redact(args[1:], redactValue)...)
}

// RawAccess runs the nomad binary for one command of one user.
type RawAccess struct {
	raw   *Raw
	scope *scopedCluster
	user  User
}

// Run runs the nomad binary against the named tier, with the session's streams and terminal, and returns its exit
// code. For "alles" and "all", the job among args selects the tier. Only tiers in which the user has the right raw
// can be named. There, the binary has all rights of the tier's token.
func (r *RawAccess) Run(ctx context.Context, c *console.Console, selection backends.Selection, tierName string,
	args []string,
) (code int, err error) {
	if selection.Tier != "" {
		return 0, Exit(2, errors.New("raw: the tier is the first argument; --tier is not supported"))
	}
	event := r.scope.event
	tier, err := r.resolveTier(tierName, selection.Namespace, args)
	if err != nil {
		return 0, err
	}
	event.Tier = tier
	if err := r.raw.Binary.Check(args); err != nil {
		if event.Decision = audit.Denied; errors.Is(err, nomadcli.ErrNoBinary) {
			event.Decision = audit.Failed
		}
		return 0, err
	}
	cluster, err := r.raw.Cluster(tier)
	if err != nil {
		event.Decision = audit.Failed
		return 0, err
	}
	cluster.Namespace = selection.Namespace
	var terminal *nomadcli.Terminal
	if t := c.Terminal; t != nil {
		terminal = &nomadcli.Terminal{Name: t.Name, NoColor: c.NoColor, Size: t.Size, Resized: t.Resized()}
	}
	return r.raw.Binary.Run(ctx, cluster, args, c.Stdin, c.ByteOutput.Stdout, c.ByteOutput.Stderr, terminal)
}

// resolveTier returns the tier that tierName selects for the nomad command args. If there is none, it sets the
// event's decision.
func (r *RawAccess) resolveTier(tierName, namespace string, args []string) (string, error) {
	tiers, err := r.scope.tiers(tierName)
	if err != nil {
		return "", err
	}
	r.scope.event.Decision = audit.Invalid
	if tierName == "" {
		return "", Exit(2, fmt.Errorf("raw: the tier is empty (yours: %s)", strings.Join(tiers, ", ")))
	}
	if tierName != "all" && tierName != "alles" {
		r.scope.event.Decision = audit.Allowed
		return tiers[0], nil
	}
	job, ok := nomadcli.JobArg(args)
	if !ok {
		return "", Exit(2, fmt.Errorf("raw %s selects the tier by the command's job, but this command names no job; "+
			"name the tier (yours: %s)", tierName, strings.Join(tiers, ", ")))
	}
	var matching []string
	for _, decision := range r.user.Decide("raw", job, namespace) {
		if decision.Allowed {
			matching = append(matching, decision.Tier)
		}
	}
	if len(matching) != 1 {
		if len(matching) == 0 {
			r.scope.event.Decision = audit.Denied
		}
		return "", Exit(2, fmt.Errorf("raw %s: the name %s matches the prefixes of %d of your tiers; "+
			"name the tier (yours: %s)", tierName, job, len(matching), strings.Join(tiers, ", ")))
	}
	r.scope.event.Decision = audit.Allowed
	return matching[0], nil
}
