package router

import (
	"context"
	"errors"
	"strings"
	"testing"

	"nomadctld/acl"
	"nomadctld/internal/audit"
	"nomadctld/internal/nomadcli"
)

// TestRaw_OnlyOwnTiers checks which tier's token a command gets, and that no token is read for a refused tier.
func TestRaw_OnlyOwnTiers(t *testing.T) {
	both := acl.Group{Name: "both", Prefixes: []string{"p-team1-", "q-team1-"}, Rights: []string{"raw"}}
	quality := acl.Group{Name: "quality", Prefixes: []string{"q-team1-"}, Rights: []string{"raw"}}
	every := acl.Group{Name: "every", Prefixes: []string{""}, Rights: []string{"raw"}}
	for line, tc := range map[string]struct {
		group acl.Group
		tier  string // empty: refused
		err   string
	}{
		"raw production node status":             {both, "production", ""},
		"raw prod node status":                   {both, "production", ""},
		"raw quality node status":                {quality, "quality", ""},
		"raw production  node status":            {quality, "", "no tier production (yours: quality)"},
		"raw test node status":                   {both, "", "no tier test (yours: production, quality)"},
		"raw '' node status":                     {both, "", "raw: the tier is empty (yours: production, quality)"},
		"raw all job status p-team1-web":         {both, "production", ""},
		"raw alles job status q-team1-web":       {both, "quality", ""},
		"raw all job status p-team2-web":         {both, "", "matches the prefixes of 0 of your tiers"},
		"raw all job status  p-team1-web":        {quality, "", "matches the prefixes of 0 of your tiers"},
		"raw all job status p-":                  {every, "production", ""},
		"raw all node status":                    {both, "", "this command names no job"},
		"raw --tier quality quality node status": {both, "", "--tier is not supported"},
		"raw production server force-leave x":    {both, "", "server force-leave"},
	} {
		w := newTestGateway(tc.group)
		tier := ""
		chosen := errors.New("chosen")
		w.Raw = &Raw{
			Binary:  nomadcli.Binary{Path: "/nonexistent/nomad"},
			Cluster: func(name string) (nomadcli.Cluster, error) { tier = name; return nomadcli.Cluster{}, chosen },
		}
		before := commandTable
		commandTable = map[string]func() Command{}
		Register(func() Command {
			return probe{
				Spec{Name: "raw", Args: "TIER ARG...", Target: TargetScope, RightSet: Admin, RunsProgram: true, Redact: RedactRaw},
				func(ctx context.Context, req *Request) error {
					_, err := req.Access.Raw.Run(ctx, req.Console, req.Selection, req.Args[0], req.Args[1:])
					return err
				},
			}
		})
		err := w.run(line)
		commandTable = before
		event := w.event(t)
		isInvalid := strings.Contains(tc.err, "is empty") || strings.Contains(tc.err, "names no job")
		switch {
		case tier != tc.tier:
			t.Errorf("%s: got the token of %q, want %q (%v)", line, tier, tc.tier, err)
		case tier != "":
			if !errors.Is(err, chosen) || event.Tier != tier || event.Decision != audit.Failed {
				t.Errorf("%s: got %v and the event %+v", line, err, event)
			}
		case err == nil || !strings.Contains(err.Error(), tc.err):
			t.Errorf("%s: got %v, want %s", line, err, tc.err)
		case strings.Contains(line, "--tier"):
		case (event.Decision == audit.Invalid) != isInvalid || (event.Decision == audit.Denied) == isInvalid:
			t.Errorf("%s: got the decision %q, want that it is invalid: %t", line, event.Decision, isInvalid)
		}
	}
}
