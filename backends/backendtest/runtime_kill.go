package backendtest

import (
	"context"

	"nomadctld/backends"
)

// killBySession is for programs to which nobody has a connection any more. They are killed by their session, and no other
// program is.
func killBySession(p *taskFixture) {
	killer, ok := p.runtime.(backends.Killer)
	if !ok {
		p.Fatalf("%T cannot kill programs", p.runtime)
	}
	ctx, cancel := context.WithTimeout(p.Context(), 2*testTimeout)
	defer cancel()
	bystander := p.start(backends.Program{Argv: []string{"sh", "-c", "echo started; cat"}})
	bystander.waitFor("started")
	for _, left := range []struct {
		name, script string
		terminal     bool
	}{
		{"a program", "exec sleep 600", false},
		{"one with a terminal", "exec sleep 600", true},
		{"one with children", "sleep 600 & sleep 600 | sleep 600", false},
		{"one that handles all but KILL", "trap '' HUP TERM; while :; do sleep 1; done", false},
	} {
		program := backends.Program{Argv: []string{"sh", "-c", "echo started; " + left.script}, Session: newSession()}
		if left.terminal {
			program.Terminal = newTerminal(80, 24)
		}
		r := p.start(program)
		r.waitFor("started")
		if found, err := killer.Kill(ctx, p.in, program.Session); !found || err != nil {
			p.Errorf("%s: got found %v, %v", left.name, found, err)
			continue
		}
		r.waitExit()
		if found, err := killer.Kill(ctx, p.in, program.Session); found || err != nil {
			p.Errorf("%s, again: got found %v, %v", left.name, found, err)
		}
	}
	select {
	case ended := <-bystander.done:
		p.Errorf("another program has ended too: %+v", ended)
	default:
		bystander.typeText("still here\n")
		bystander.waitFor("still here")
	}
	in := p.in
	in.Allocation.ID, in.Task = "5c27c9a4-0000-0000-0000-000000000000", "nosuch"
	if found, err := killer.Kill(ctx, in, newSession()); found || err == nil {
		p.Errorf("in a task that does not exist: got found %v, %v", found, err)
	}
}
