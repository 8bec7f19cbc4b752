// Package checkonline checks whether a gateway would work with a given configuration: it contacts the tiers and the
// Docker daemons of their nodes. It only reads. It reports facts, and it does not print or exit.
package checkonline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"nomadctld/backends/docker"
	"nomadctld/config"
	"nomadctld/internal/render"
)

// The states of a fact.
const (
	OK      = "ok"
	Warning = "warning" // a part of the gateway does not work, maybe as intended
	Error   = "error"   // something that commands need does not work
)

// tierTimeout limits the check of a tier, including its Docker daemons.
const tierTimeout = 10 * time.Second

// execNomad is the value of docker.exec with which no Docker daemon is used.
const execNomad = "nomad"

// Fact is one result. Its texts may be untrusted.
type Fact struct {
	Tier   string `json:"tier"`   // empty: for all tiers
	Check  string `json:"check"`  // reachable, tls, clock, token, commands, version or docker
	State  string `json:"state"`  // OK, Warning or Error
	Detail string `json:"detail"` // the finding
	Hint   string `json:"hint"`   // the next step; empty if there is none
}

// Run checks all tiers in parallel. The facts are in the order of the tiers. It fails if the files that the
// configuration names cannot be used.
func Run(ctx context.Context, c *config.Config) ([]Fact, error) {
	daemons, err := docker.Open(docker.Settings{
		Host: c.Docker.Host, Port: c.General.DockerPort, API: c.General.DockerAPI, TLS: c.Docker.TLS,
	})
	if err != nil {
		return nil, err
	}
	defer daemons.CloseIdle()
	checks := make([]*check, len(c.Tiers))
	for i, tier := range c.Tiers {
		settings, err := tier.TLS.Load()
		if err != nil {
			return nil, fmt.Errorf("tier %s: %w", tier.Name, err)
		}
		checks[i] = &check{
			tier: tier, http: newHTTPClient(settings), namespaces: limitedNamespaces(c.Groups, tier), exec: c.Docker.Exec,
			daemons: daemons,
		}
	}
	var wg sync.WaitGroup
	for _, check := range checks {
		wg.Go(func() {
			limited, cancel := context.WithTimeout(ctx, tierTimeout)
			defer cancel()
			defer check.http.CloseIdleConnections()
			check.run(limited)
		})
	}
	wg.Wait()
	var facts []Fact
	if c.Docker.Exec != execNomad {
		facts = certificateFile("", "docker.tls.cert", c.Docker.TLS.Cert, time.Now())
	}
	for _, check := range checks {
		facts = append(facts, check.facts...)
	}
	return facts, nil
}

// Failed reports whether a fact is an error.
func Failed(facts []Fact) bool {
	return slices.ContainsFunc(facts, func(f Fact) bool { return f.State == Error })
}

// Table returns the facts in columns, escaped. width is that of the terminal; 0 is unlimited.
func Table(facts []Fact, width int) string {
	rows := [][]string{{"TIER", "CHECK", "STATE", "RESULT"}}
	for _, f := range facts {
		tier, result := f.Tier, f.Detail
		if tier == "" {
			tier = "(all)"
		}
		if f.Hint != "" {
			result += "; " + f.Hint
		}
		rows = append(rows, []string{tier, f.Check, f.State, result})
	}
	var b strings.Builder
	render.Columns(&b, rows, render.Style{Width: width})
	return b.String()
}
