package backendtest

import (
	"context"

	"nomadctld/backends"
)

// killBySession checks that Kill kills the program with a session, and no other.
func killBySession(p *taskFixture) {
	killer, ok := p.runtime.(backends.Killer)
	if !ok {
		p.Fatalf("%T cannot kill programs", p.runtime)
	}
	ctx, cancel := context.WithTimeout(p.Context(), 2*testTimeout)
	defer cancel()
	bystander := p.start(backends.Program{Argv: []string{"sh", "-c", "echo started; cat"}})
	bystander.waitFor("started")
	for _, tc := range []struct {
		name, script string
		terminal     bool
	}{
		{"simple", "exec sleep 600", false},
		{"with a terminal", "exec sleep 600", true},
		{"with children", "sleep 600 & sleep 600 | sleep 600", false},
		{"that ignores HUP and TERM", "trap '' HUP TERM; while :; do sleep 1; done", false},
	} {
		program := backends.Program{Argv: []string{"sh", "-c", "echo started; " + tc.script}, Session: newSession()}
		if tc.terminal {
			program.Terminal = newTerminal(80, 24)
		}
		r := p.start(program)
		r.waitFor("started")
		if found, err := killer.Kill(ctx, p.task, program.Session); !found || err != nil {
			p.Errorf("%s: got found %v, %v", tc.name, found, err)
			continue
		}
		r.waitExit()
		if found, err := killer.Kill(ctx, p.task, program.Session); found || err != nil {
			p.Errorf("%s, again: got found %v, %v", tc.name, found, err)
		}
	}
	select {
	case res := <-bystander.done:
		p.Errorf("another program was killed as well: %+v", res)
	default:
		bystander.typeText("still here\n")
		bystander.waitFor("still here")
	}
	in := p.task
	in.Allocation.ID, in.Task = "5c27c9a4-0000-0000-0000-000000000000", "nosuch"
	if found, err := killer.Kill(ctx, in, newSession()); found || err == nil {
		p.Errorf("in a task that does not exist: got found %v, %v", found, err)
	}
}
