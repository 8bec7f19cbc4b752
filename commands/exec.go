package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(exec) }) }

type exec struct {
	shell, user, dir string
	env              []string
}

func (e *exec) Spec() router.Spec {
	return router.Spec{
		Name:          "exec",
		Args:          "SELECTOR [COMMAND...]",
		Short:         "Run a program in a task, or a shell",
		Target:        router.TargetTask,
		Set:           router.Enter,
		Rights:        map[string]router.RightSet{userRight: router.Admin},
		WantsTerminal: true,
		RunsProgram:   true,
		TracksProgram: true,
		Long: selectorHelp + `

The words after the selector reach the program as they are; flags of exec stand before it. After -c comes a line for the
shell, untouched: exec ID -c 'ls | wc -l'. With a terminal (ssh -t) it is as at a local shell, Ctrl-C, Ctrl-P and Ctrl-Z
included; without, stdin, stdout and stderr are kept apart, byte for byte. When you go away the program gets HUP, then
TERM, then KILL and, if these reach it, no end of input that you have not sent. The environment variable
` + backends.SessionVariable + ` is added to the program's, to find it by.

The exit code is the program's, 128+n if signal n ended it; 75 if a limit of the gateway refuses it (try again later),
125 if it could not be started or what became of it is not known, 126 if it cannot be executed, 127 if it is not there.`,
		Flags: func(f *pflag.FlagSet) {
			f.StringVar(&e.shell, "shell", "/bin/sh", "the `SHELL` to run, alone or for -c")
			f.StringVarP(&e.user, "user", "u", "", "run as this `USER`, name or ID, with :GROUP if need be (through Docker); needs the right exec-user")
			f.StringVarP(&e.dir, "workdir", "w", "", "run in this `DIR` of the task")
			f.StringArrayVarP(&e.env, "env", "e", nil, "add `K=V` to the environment; may be repeated")
			router.MarkSecret(f, "env")
		},
	}
}

// userRight is the right to run a program as a user other than the task's, which may be root.
const userRight = "exec-user"

func (e *exec) Run(ctx context.Context, req *router.Request) error {
	argv, err := e.argv(req)
	if err != nil {
		return router.Exit(2, err)
	}
	if e.user != "" {
		if err := req.Require(userRight); err != nil {
			return err
		}
	}
	p := backends.Program{
		Argv: argv, User: e.user, Dir: e.dir, Session: req.ProgramSession(), Env: e.env, OptionalEnv: req.Locale,
	}
	var out router.Bytes
	p.Stdin, p.Signals, out = req.ProgramIO()
	p.Stdout, p.Stderr = out.Stdout, out.Stderr
	if t := req.Terminal; t != nil {
		greet(req)
		p.Terminal, p.Modes = t, t.Modes
		if t.Name != "" {
			p.OptionalEnv = slices.Concat(p.OptionalEnv, []string{"TERM=" + t.Name})
		}
	}
	p.OptionalEnv = omitVars(p.OptionalEnv, p.Env)
	return programExit(req.Runtime.Exec(ctx, p))
}

// omitVars returns the variables in all whose names are not in env.
func omitVars(all, env []string) (rest []string) {
	for _, v := range all {
		name, _, _ := strings.Cut(v, "=")
		if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") }) {
			rest = append(rest, v)
		}
	}
	return rest
}

// argv returns the program and its arguments.
func (e *exec) argv(req *router.Request) ([]string, error) {
	for _, pair := range e.env {
		if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
			return nil, fmt.Errorf("exec: --env takes K=V, not %s", escape.Text(pair))
		}
	}
	words := req.Args[1:]
	switch {
	case len(words) == 0:
		return []string{e.shell}, nil
	case words[0] == "-c":
		line, err := shellCommand(req, words[1:])
		return []string{e.shell, "-c", line}, err
	case words[0] == "--" && len(words) > 1:
		return words[1:], nil
	case strings.HasPrefix(words[0], "-"):
		return nil, fmt.Errorf("exec: put flags before the selector: exec %s %s "+
			"(to run a program with that name: exec %s -- %s)",
			words[0], req.Args[0], req.Args[0], words[0])
	}
	return words, nil
}

// shellCommand returns the shell command after -c. A single word is used without its quotes. Several words are returned
// as they were typed.
func shellCommand(req *router.Request, words []string) (string, error) {
	switch len(words) {
	case 0:
		return "", errors.New("exec: -c needs a command line for the shell")
	case 1:
		return words[0], nil
	}
	return req.LineFrom(2)
}

// greet prints the user, the task and the node, with the text of the original nomadctld.
func greet(req *router.Request) {
	fmt.Fprintf(req.Stderr, "Welcome %s (%s, %s)\nYou have access to %s\nwelcome to %s of %s on %s\n",
		escape.Text(req.User.Name), escape.Text(req.User.Login), req.Fingerprint,
		escape.Text(strings.Join(req.User.Prefixes(), " ")),
		escape.Text(req.Task.Name), escape.Text(req.Allocation.Name), escape.Text(req.Allocation.Node))
}

// programExit returns a program's exit code, or the error with the exit code that the client gets.
func programExit(code int, err error) error {
	const notExecutable, notFound = 126, 127
	switch {
	case err == nil:
		return router.ProgramExit(code)
	case errors.Is(err, backends.ErrNotExecutable):
		return router.Exit(notExecutable, err)
	case errors.Is(err, backends.ErrProgramNotFound):
		return router.Exit(notFound, err)
	}
	return err
}
