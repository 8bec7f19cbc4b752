package commands

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(attach) }) }

type attach struct {
	stdin bool
	keys  string
}

func (a *attach) Spec() router.Spec {
	return router.Spec{
		Name:          "attach",
		Args:          taskArg,
		Short:         "Attach to the main process",
		Group:         router.GroupLogs,
		Rank:          4,
		Target:        router.TargetTask,
		RightSet:      router.Enter,
		WantsTerminal: true,
		RunsProgram:   true,
		Long: `
Attach to the main process of a task and print its output from now on. Earlier
output is in the logs (see: logs). The task must run in Docker.
Flags come before the task. A line on stderr reports that you are attached and how
to detach.

` + taskHelp + `

Without --stdin, Ctrl-C detaches. With --stdin, your input goes to the process:

  - If the job sets tty = true, the process gets every key, and Ctrl-C may stop
    the task. To detach, use --detach-keys or press Enter ~ . (ssh's escape).
  - Otherwise, on a terminal (ssh -t), you edit a line and Enter sends it.
    Ctrl-C and --detach-keys detach. Ctrl-D closes your input, but the process
    gets no EOF.

After you detach, the task keeps running and its stdin stays open. The exit code
is the task's if it exits first, 75 if a limit of the gateway refused the command
(try again later), or 125 for an error of the gateway.`,
		Examples: []router.Example{
			{Line: "attach 45fed1138a", Comment: "print the output until Ctrl-C"},
			{Line: "attach --stdin --detach-keys ctrl-q 45fed1138a", Comment: "with input; Ctrl-Q detaches"},
		},
		Flags: func(f *pflag.FlagSet) {
			f.BoolVar(&a.stdin, "stdin", false, "send your input; the job must set interactive = true")
			f.StringVar(&a.keys, "detach-keys", "", "`KEYS` keys that detach, such as ctrl-p,ctrl-q")
		},
	}
}

var detachKeys = regexp.MustCompile(`^(([!-~]|ctrl-[a-zA-Z@\[\]\\^_])(,([!-~]|ctrl-[a-zA-Z@\[\]\\^_]))*)?$`)

func (a *attach) Run(ctx context.Context, req *router.Request) error {
	if a.keys != "" && !a.stdin {
		return router.Exit(2, errors.New("attach: --detach-keys needs --stdin; without --stdin, Ctrl-C detaches"))
	}
	if !detachKeys.MatchString(a.keys) {
		return router.Exit(2, errors.New("attach: --detach-keys takes keys in docker's format, such as ctrl-p,ctrl-q"))
	}
	at := backends.Attachment{
		Stdout: req.Console.ByteOutput.Stdout, Stderr: req.Console.ByteOutput.Stderr, DetachKeys: a.keys,
		PlainStdout: req.Console.Stdout, PlainStderr: req.Console.Stderr,
		Notice: func(tty bool) string { return a.notice(req, tty) },
	}
	if !a.stdin {
		req.Console.IgnoreInput()
	} else {
		at.Stdin = req.Console.Stdin
		if req.Console.Terminal != nil {
			at.Terminal = req.Console.Terminal
			var cancel context.CancelCauseFunc
			ctx, cancel = context.WithCancelCause(ctx)
			defer cancel(nil)
			at.PlainStdin = req.Console.LineInput(backends.ParseDetachKeys(a.keys), cancel)
		}
	}
	code, err := req.Access.Runtime.Attach(ctx, at)
	switch {
	case errors.Is(err, backends.ErrDetached):
		return nil
	case errors.Is(err, backends.ErrTaskNotRunning):
		err = notRunningError(req, err)
	}
	return router.ProgramResult(code, err)
}

// notice returns the line that reports that the user is attached and how to detach. tty reports whether the task has a
// terminal.
func (a *attach) notice(req *router.Request, tty bool) string {
	detach := "Ctrl-C"
	switch {
	case !a.stdin || req.Console.Terminal == nil:
	case tty && a.keys != "":
		detach = a.keys
	case tty:
		detach = "Enter ~ ."
	case a.keys != "":
		detach = a.keys + " or Ctrl-C"
	}
	return escape.Text(fmt.Sprintf("attached to %s of %s; press %s to detach (the task keeps running)",
		req.Target.Task.Name, req.Target.Allocation.Name, detach)) + "\n"
}
