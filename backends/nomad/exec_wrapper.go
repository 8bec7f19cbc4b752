package nomad

import (
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"nomadctld/backends"
)

// wrapperScript runs a program in the task's shell. It exists because Nomad's exec cannot set an environment or
// directory and cannot send signals. With some drivers Nomad silently loses the end of the output, and it reports the
// exit only when no process holds the streams any more. So the wrapper sets the environment and directory, and it
// writes a marker to each stream before and after the program's output. The end marker contains the exit code. See
// markerFilter.
//
// Parameters: the marker; 1 with a terminal, else 0; the directory; for stty, a size, control characters and flags; 1
// if the input may be framed; K=V...; --; the program and its arguments. Values are passed as parameters and never
// inserted into the script. Its variables get random names (see randomizeNames), because setting a variable that the
// environment contains would change it for the program. The script needs only features that are built into dash, ash
// and bash. It uses stty, dd and cat if the task has them.
//
//   - A subshell execs the program, so names are looked up in PATH only and builtins do not hide programs.
//   - The shell's own stderr is discarded, because some shells report there which signal killed a program. The shell
//     traps signals, because a signal for the whole process group must not kill it before it has reported the exit.
//     With a terminal it does not trap HUP: it is the session leader, and its exit makes the kernel forward the hangup.
//   - If input arrives when no process reads it, Nomad drops pending output. So the shell reads the input that the
//     program did not read, until the EOF that the gateway sends after the end marker.
//   - Some drivers never pass on EOF. For them the input is framed: each frame is preceded by a line with its
//     length, and the length 0 means EOF. A pipe passes the input to the program. dd must read exactly one frame; if
//     the task's dd cannot do that, the input is not framed. A start marker with framed input contains two process
//     IDs: the process whose child is the program, and the shell.
//   - Docker accepts a terminal size only when the program is running, so the first resize may be lost, and it
//     accepts no modes. The script uses stty, if the task has it. If stty does not know all modes, they are set one
//     by one.
//
//go:embed exec_wrapper.sh
var wrapperScript string

// wrappedCommand is a program with its wrapper.
type wrappedCommand struct {
	marker  string
	session string
	command []string
}

// needsFramedStdin reports whether the driver may fail to pass on EOF of a program's input. The podman driver fails;
// the listed drivers do not. Other drivers are assumed to fail; "" (not known) is assumed not to.
func needsFramedStdin(driver string) bool {
	switch driver {
	case "", "docker", "exec", "exec2", "java", "qemu", "raw_exec":
		return false
	}
	return true
}

// wrapProgram returns the command that runs p in a task of a driver.
func wrapProgram(p backends.Program, driver string) (wrappedCommand, error) {
	w := wrappedCommand{marker: randomDigits(), session: p.Session}
	if w.session == "" {
		w.session = randomHex()
	}
	terminal, size, chars, flags, frames := "0", "", "", "", ""
	if p.Terminal != nil {
		terminal = "1"
		if columns, rows := p.Terminal.Size(); columns > 0 && rows > 0 {
			size = fmt.Sprintf("rows %d cols %d", rows, columns)
		}
		chars, flags = p.Modes.Stty()
	} else if needsFramedStdin(driver) {
		frames = "1"
	}
	dir := p.Dir
	if dir != "" && !strings.HasPrefix(dir, "/") {
		dir = "./" + dir // cd must not take it for an option
	}
	w.command = []string{
		"/bin/sh", "-c", randomizeNames(wrapperScript), "sh", w.marker, terminal, dir, size, chars, flags, frames,
	}
	for _, variable := range p.OptionalEnv {
		if name, _, ok := strings.Cut(variable, "="); ok && isIdentifier(name) {
			w.command = append(w.command, variable)
		}
	}
	for _, variable := range p.Env {
		name, _, ok := strings.Cut(variable, "=")
		if !ok || !isIdentifier(name) {
			return w, fmt.Errorf("environment variable %q: %w through Nomad (a shell cannot set it)",
				name, backends.ErrUnsupported)
		}
		w.command = append(w.command, variable)
	}
	w.command = append(w.command, backends.SessionVariable+"="+w.session, "--")
	w.command = append(w.command, p.Argv...)
	return w, nil
}

// isIdentifier reports whether name can be a shell variable.
func isIdentifier(name string) bool {
	for i, r := range name {
		switch {
		case r == '_', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', i > 0 && '0' <= r && r <= '9':
		default:
			return false
		}
	}
	return name != ""
}

// randomizeNames gives the variables of a script random names, so that they cannot be in the environment of a task or
// user.
func randomizeNames(script string) string {
	return strings.ReplaceAll(script, "nomadctld_", "nomadctld"+randomHex()[:8]+"_")
}

// randomDigits returns a random marker. It has no letters, because a terminal may change their case.
func randomDigits() string {
	var b [16]byte
	rand.Read(b[:])
	return new(big.Int).SetBytes(b[:]).String()
}

// randomHex returns a random session ID or idempotency token.
func randomHex() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
