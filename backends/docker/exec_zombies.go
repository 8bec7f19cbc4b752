package docker

import (
	"context"
	_ "embed"
	"time"

	"nomadctld/internal/procscript"
)

//go:embed exec_zombies.sh
var zombiesText string

// zombiesScript counts zombies. A killed shell usually does not reap its child, so the container's first process
// inherits it.
var zombiesScript = procscript.With(zombiesText)

const (
	zombiesTimeout = 3 * time.Second
	noZombiesCode  = 100 // exit code; a failing shell does not use it
	maxZombiesCode = 200
)

// countZombies returns the number of zombies in the container, or 0 if it is unknown.
func (e *execInstance) countZombies() int {
	ctx, cancel := context.WithTimeout(context.Background(), zombiesTimeout)
	defer cancel()
	state, err := e.runScript(ctx, "", zombiesScript)
	if err != nil || state.ExitCode == nil || *state.ExitCode < noZombiesCode || *state.ExitCode > maxZombiesCode {
		return 0
	}
	return *state.ExitCode - noZombiesCode
}
