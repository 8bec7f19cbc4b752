package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/cmdline"
	"nomadctld/internal/console"
	"nomadctld/internal/escape"
	"nomadctld/internal/jobstate"
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
		Args:          taskArg + " [COMMAND...]",
		Short:         "Run a command or a shell",
		Group:         router.GroupLogs,
		Rank:          3,
		Target:        router.TargetTask,
		RightSet:      router.Enter,
		FlagRights:    map[string]router.RightSet{execUserRight: router.Admin},
		WantsTerminal: true,
		RunsProgram:   true,
		TracksProgram: true,
		PicksInstance: true,
		Long: `
Run a command in a task, or a shell if there is no command. With -c LINE as the
command, the shell runs LINE. Flags of exec come before the task.

` + taskHelp + `

The program gets its arguments unchanged, and the shell gets the text after -c
unchanged. On a terminal (ssh -t), exec behaves like a local shell. Otherwise
stdin, stdout and stderr are separate and are passed on byte for byte.

If you disconnect, the program gets HUP, then TERM, then KILL, but no EOF: stdin is
closed only if you send EOF, or if the gateway dies or cannot reach the task. In a
task without a shell, no signal can be sent, and stdin is closed instead. Do not
unset ` + backends.SessionVariable + `: it identifies the program.

The exit code is the program's, or 128+n if signal n killed it. Otherwise:
  75   a limit of the gateway refused the command; try again later
  125  the program was not started, or its outcome is unknown
  126  the program cannot be executed
  127  the program was not found`,
		Examples: []router.Example{
			{Line: "exec 45fed1138a", Comment: "an interactive shell, with ssh -t"},
			{Line: "exec 45fed1138a cat /etc/hosts", Comment: "a program and its arguments"},
			{Line: "exec 45fed1138a -c 'ps | grep java'", Comment: "a command line for the shell"},
			{Line: "exec --any p-team1-web", Comment: "in one of several equal instances"},
			{Line: "exec -u root -w /tmp 45fed1138a id", Comment: "as another user, in a directory"},
		},
		Flags: func(f *pflag.FlagSet) {
			f.StringVar(&e.shell, "shell", "/bin/sh", "`SHELL` shell to run, also for -c")
			f.StringVarP(&e.user, "user", "u", "",
				"`USER` run as USER[:GROUP]; needs Docker and the exec-user right")
			f.StringVarP(&e.dir, "workdir", "w", "", "`DIR` run in this directory of the task")
			f.StringArrayVarP(&e.env, "env", "e", nil, "`K=V` set an environment variable; may be repeated")
			router.MarkSecret(f, "env")
			// Flags of docker exec, which have no effect: the client requests a terminal, and stdin is always passed on.
			f.BoolP("interactive", "i", false, "no effect")
			f.BoolP("tty", "t", false, "no effect; the client requests the terminal: ssh -t")
			f.MarkHidden("interactive")
			f.MarkHidden("tty")
		},
	}
}

// execUserRight is the right to run a program as a user other than the task's, which may be root.
const execUserRight = "exec-user"

func (e *exec) Run(ctx context.Context, req *router.Request) error {
	words := commandWords(req)
	argv, err := e.argv(req, words)
	if err != nil {
		return router.Exit(2, err)
	}
	if e.user != "" {
		if err := req.Require(execUserRight); err != nil {
			return err
		}
	}
	p := backends.Program{
		Argv: argv, User: e.user, Dir: e.dir, Session: req.Session.ProgramSession(), Env: e.env,
		OptionalEnv: req.Session.Locale,
	}
	var out console.ByteOutput
	p.Stdin, p.Signals, out = req.Console.ProgramIO()
	p.Stdout, p.Stderr = out.Stdout, out.Stderr
	if t := req.Console.Terminal; t != nil {
		if len(words) == 0 {
			greet(req)
		}
		p.Terminal, p.Modes = t, t.Modes
		if t.Name != "" {
			p.OptionalEnv = slices.Concat(p.OptionalEnv, []string{"TERM=" + t.Name})
		}
	}
	p.OptionalEnv = omitVars(p.OptionalEnv, p.Env)
	if p.Terminal == nil && len(words) == 0 {
		var stop func()
		p.Stdin, stop = noticeSilence(p.Stdin, silenceTimeout, func() {
			printNotice(req, "no terminal; use ssh -t for a shell (%s reads commands from stdin)", e.shell)
		})
		defer stop()
	}
	code, err := req.Access.Runtime.Exec(ctx, p)
	switch {
	case errors.Is(err, backends.ErrTaskNotRunning):
		err = notRunningError(req, err)
	case errors.Is(err, backends.ErrProgramNotFound) && looksLikeShellLine(words):
		err = fmt.Errorf("%w; to run a shell command: exec %s -c %s",
			err, selectorWords(req), shellQuoted(strings.Join(words, " ")))
	case err == nil:
		suggestShell(req, words, code)
	}
	return router.ProgramResult(code, err)
}

// notRunningError adds to an ErrTaskNotRunning why the task is not running.
func notRunningError(req *router.Request, err error) error {
	a, t := *req.Target.Allocation, *req.Target.Task
	if err == backends.ErrTaskNotRunning { // Nomad's response does not name the task
		err = fmt.Errorf("task %s of %s is not running", t.Name, a.Name)
	}
	if a.Runs(t) { // it has stopped since the lookup
		return fmt.Errorf("%w (see: info %s)", err, t.ExecID)
	}
	return fmt.Errorf("%w: it %s (see: logs %s)", err, jobstate.Task(a, t, nil, time.Now()).Clause(), t.ExecID)
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

// commandWords returns the words after the task, without docker's -i and -t.
func commandWords(req *router.Request) []string {
	words := req.Args[1:]
	for len(words) > 0 && slices.Contains([]string{"-i", "-t", "-it", "-ti", "--interactive", "--tty"}, words[0]) {
		words = words[1:]
	}
	return words
}

// argv returns the program and its arguments.
func (e *exec) argv(req *router.Request, words []string) ([]string, error) {
	for _, pair := range e.env {
		if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
			return nil, fmt.Errorf("exec: --env takes K=V, not %s", escape.Text(pair))
		}
	}
	switch {
	case len(words) == 0:
		return []string{e.shell}, nil
	case words[0] == "-c":
		line, err := shellCommand(req, words[1:])
		return []string{e.shell, "-c", line}, err
	case words[0] == "--" && len(words) > 1:
		return words[1:], nil
	case strings.HasPrefix(words[0], "-"):
		return nil, fmt.Errorf("exec: put the flag %s before the task %s (to run a program named %s: exec %s -- %s)",
			words[0], req.Args[0], words[0], req.Args[0], words[0])
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
	return cmdline.From(req.Expanded, len(req.Words)-len(req.Args)+2)
}

// greet names the task, with the last line of the original nomadctld's greeting.
func greet(req *router.Request) {
	printNotice(req, "welcome to %s of %s on %s",
		req.Target.Task.Name, req.Target.Allocation.Name, req.Target.Allocation.Node)
}
