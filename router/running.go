package router

import (
	"sync"

	"nomadctld/acl"
)

// Running is the state of running commands and operations. The handlers of successive configurations share it. The zero
// value is ready to use.
type Running struct {
	results resultSlots

	mu      sync.Mutex
	rules   rules                   // of the latest configuration; guarded by mu
	tracked map[*accessUse]struct{} // of running commands and operations; guarded by mu
}

// rules decide who has access to what.
type rules struct {
	users     *acl.Directory // nil: no rules yet
	tiers     []acl.Tier
	clusterOf func(tier string) string // identifies the cluster of a tier; nil: each tier is its own cluster
}

func (r rules) cluster(tier string) string {
	if r.clusterOf == nil {
		return tier
	}
	return r.clusterOf(tier)
}

func (g Gateway) rules() rules {
	r := rules{users: g.Users, tiers: g.Tiers}
	if g.Runtimes != nil {
		r.clusterOf = g.Runtimes.ClusterOf
	}
	return r
}

// Apply replaces the rules of all running commands and operations by those of g. It stops the ones that use access that
// their user no longer has, and returns their number. From then on, commands of earlier handlers are checked by the
// rules of g. Call Apply before g handles commands: until then, its commands too are checked by the earlier rules.
func (r *Running) Apply(g Gateway) (stopped int) {
	next := g.rules()
	lost := map[*accessUse]error{}
	r.mu.Lock()
	r.rules = next
	for a := range r.tracked {
		if err := a.check(next); err != nil {
			lost[a] = err
			delete(r.tracked, a)
		}
	}
	r.mu.Unlock()
	for a, err := range lost { // without the lock, which the functions may need
		a.stop(err)
	}
	return len(lost)
}

// track returns the access of a new command or operation. stop is called at most once, if the access is lost.
func (r *Running) track(granted rules, session Session, stop func(error)) *accessUse {
	a := &accessUse{running: r, granted: granted, session: session, stop: stop}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tracked == nil {
		r.tracked = map[*accessUse]struct{}{}
	}
	r.tracked[a] = struct{}{}
	return a
}
