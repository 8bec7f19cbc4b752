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

// wrapperScript runs a program below the task's shell. Nomad cannot pass an environment, a directory or a signal, loses the
// end of what some drivers' programs write without a word, and reports an end only when nobody holds the streams any
// more. So the shell sets what is asked for, and marks on each stream where the program's output begins and ends; the
// last mark holds its exit code.
//
// Parameters: the mark, 1 with a terminal, the directory, a size, control characters and switches as stty takes them, 1 if
// the input may come in frames, K=V..., --, the program and its arguments.
// Values come as parameters, never as text of the script. Its variables get names that are in nobody's environment (named),
// for they would change there too. It needs what is built into dash, ash and bash, and nothing else.
//
//   - The subshell becomes the program: names are looked up in PATH only, and builtins do not hide programs.
//   - The shell's own stderr is nobody's: some shells announce there what killed a program. A signal for the whole process
//     group must not end the shell before it has told the end. HUP is not kept from it with a terminal: it is the
//     session's leader, and its end is what lets the kernel pass a hangup on.
//   - Input that arrives when nobody reads any more makes Nomad drop output that is on its way. So the shell reads what the
//     program left, to the end that the gateway makes of it once it has seen the last mark.
//   - Some drivers never pass on the end of input. For them the input comes in frames, its length in a line before each, 0
//     for the end, and goes to the program through a pipe. dd takes a frame and not a byte more; where there is none that
//     can, the input comes as it is. The first mark then has two processes: the one that has the program, and the shell.
//   - Docker takes a terminal's size once the program runs, may be asked for it too early, and takes no modes. stty is there
//     mostly; one that does not know some of the modes gets them one by one.
//
//go:embed exec_wrapper.sh
var wrapperScript string

// wrappedCommand is what it takes to run a program below the task's shell.
type wrappedCommand struct {
	marker  string
	session string
	command []string
}

// needsFramedStdin reports whether the driver of a task may not pass on the end of a program's input, and leave behind what waits for
// it. That of podman does so; those of Nomad itself do not, and of others nothing is known. Empty: the driver is not known.
func needsFramedStdin(driver string) bool {
	switch driver {
	case "", "docker", "exec", "exec2", "java", "qemu", "raw_exec":
		return false
	}
	return true
}

// wrapProgram returns the command that runs p in a task of a driver.
func wrapProgram(p backends.Program, driver string) (wrappedCommand, error) {
	s := wrappedCommand{marker: randomDigits(), session: p.Session}
	if s.session == "" {
		s.session = randomHex()
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
		dir = "./" + dir // - and options mean something to cd
	}
	s.command = []string{"/bin/sh", "-c", randomizeNames(wrapperScript), "sh", s.marker, terminal, dir, size, chars, flags, frames}
	for _, hint := range p.OptionalEnv {
		if name, _, ok := strings.Cut(hint, "="); ok && isEnvName(name) {
			s.command = append(s.command, hint)
		}
	}
	for _, variable := range p.Env {
		name, _, ok := strings.Cut(variable, "=")
		if !ok || !isEnvName(name) {
			return s, fmt.Errorf("%q is no environment variable that a shell can set: it %w through Nomad", name, backends.ErrUnsupported)
		}
		s.command = append(s.command, variable)
	}
	s.command = append(s.command, backends.SessionVariable+"="+s.session, "--")
	s.command = append(s.command, p.Argv...)
	return s, nil
}

// isEnvName reports whether a shell can export a variable of this name.
func isEnvName(name string) bool {
	for i, r := range name {
		switch {
		case r == '_', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', i > 0 && '0' <= r && r <= '9':
		default:
			return false
		}
	}
	return name != ""
}

// randomizeNames returns a script whose variables have names that nobody can know, so that neither a task nor a user has them in
// an environment.
func randomizeNames(script string) string {
	return strings.ReplaceAll(script, "nomadctld_", "nomadctld"+randomHex()[:8]+"_")
}

// randomDigits is a random mark. Letters may come out of a terminal as others.
func randomDigits() string {
	var b [16]byte
	rand.Read(b[:])
	return new(big.Int).SetBytes(b[:]).String()
}

func randomHex() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
