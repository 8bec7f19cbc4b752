package checkonline

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"

	"nomadctld/backends/docker"
)

const (
	maxDaemonChecks = 16     // at a time
	maxAllocations  = "1000" // of the running ones, to find their nodes
)

// node is what the check needs of a Nomad node.
type node struct {
	ID, Name, Address, Status, Version string

	Drivers map[string]struct{ Detected bool } // nil: unknown
}

// nodes returns the nodes that may run a Docker daemon, by name: those with the Docker driver or, if the token cannot
// read nodes, those of running allocations.
func (c *check) nodes(ctx context.Context) ([]node, error) {
	var all []node
	_, err := c.get(ctx, "/v1/nodes", &all)
	if isForbidden(err) {
		var allocations []struct{ NodeID, NodeName string }
		query := url.Values{
			"namespace": {"*"}, "per_page": {maxAllocations}, "task_states": {"false"},
			"filter": {`ClientStatus == "running"`},
		}
		if _, err = c.get(ctx, "/v1/allocations?"+query.Encode(), &allocations); isForbidden(err) {
			return nil, nil // the missing capabilities have been reported
		}
		for _, a := range allocations {
			all = append(all, node{ID: a.NodeID, Name: a.NodeName, Status: "ready"})
		}
	}
	slices.SortFunc(all, func(a, b node) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return slices.CompactFunc(all, func(a, b node) bool { return a.ID == b.ID }), err
}

// docker reports which Docker daemons respond, and with which version of the API.
func (c *check) docker(ctx context.Context, nodes []node, err error) {
	if c.exec == execNomad {
		c.add("docker", OK, `not used: docker.exec is "nomad"`, "")
		return
	}
	if err != nil {
		c.add("docker", Error, fmt.Sprintf("cannot list the nodes: %v", withoutURL(err)), "check the Nomad servers")
		return
	}
	nodes = slices.DeleteFunc(nodes, func(n node) bool {
		return n.Status != "ready" || n.Drivers != nil && !n.Drivers["docker"].Detected
	})
	if len(nodes) == 0 {
		c.add("docker", OK, "found no node to check", "")
		return
	}
	if c.daemons.NeedsAddress() && slices.ContainsFunc(nodes, func(n node) bool { return n.Address == "" }) {
		c.add("docker", Error, "docker.host contains {address}, but the token cannot read nodes",
			`add node { policy = "read" } to its policy`)
		return
	}
	facts := make([]Fact, len(nodes))
	slots := make(chan struct{}, maxDaemonChecks)
	var wg sync.WaitGroup
	for i, n := range nodes {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			facts[i] = c.daemon(ctx, n)
		})
	}
	wg.Wait()
	c.facts = append(c.facts, facts...)
}

// daemon checks the Docker daemon of a node. The errors of docker name the node.
func (c *check) daemon(ctx context.Context, n node) Fact {
	if ctx.Err() != nil { // the daemons before it used all the time
		return Fact{
			c.tier.Name, "docker", Warning, fmt.Sprintf("node %s: not checked within %s", n.Name, tierTimeout),
			"repeat the check when the other daemons respond",
		}
	}
	version, err := c.daemons.APIVersion(ctx, docker.Node{Name: n.Name, Address: n.Address})
	switch {
	case err == nil:
		return Fact{c.tier.Name, "docker", OK, fmt.Sprintf("node %s: API %s", n.Name, version), ""}
	case n.Drivers == nil: // the node may not run Docker
		return Fact{c.tier.Name, "docker", Warning, err.Error(), "check docker.host if the node runs Docker"}
	}
	return Fact{c.tier.Name, "docker", Error, err.Error(), "check docker.host, and that the daemon listens there"}
}
