package commands

import (
	"context"
	"errors"
	"regexp"

	"github.com/spf13/pflag"

	"nomadctld/backends"
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
		Args:          "SELECTOR",
		Short:         "See what the main process of a task writes, from now on, and type to it if you ask for that",
		Target:        router.TargetTask,
		Set:           router.Enter,
		WantsTerminal: true,
		RunsProgram:   true,
		Long: selectorHelp + `

It shows what is written from now on; what was before is in logs. Without --stdin Ctrl-C leaves.

With --stdin what you type reaches the process. If the task has a terminal (tty in its job), it gets every key, and Ctrl-C
may end the task; leave with --detach-keys, or with ssh's own Enter ~ . If it has none and you have one (ssh -t), you edit
lines here, and Enter sends them: Ctrl-C and the detach keys leave, and Ctrl-D ends your input. The task keeps running when
you leave, and its standard input stays open. Only tasks that run in Docker can be attached to.

The exit code is the task's when it ends; 75 if a limit of the gateway refuses it (try again
later), 125 if it could not be attached to.`,
		Flags: func(f *pflag.FlagSet) {
			f.BoolVar(&a.stdin, "stdin", false, "pass on what you type; the task's job has to keep its stdin open")
			f.StringVar(&a.keys, "detach-keys", "", "leave with these `KEYS`, as docker writes them: ctrl-p,ctrl-q")
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
		Stdout: req.Bytes.Stdout, Stderr: req.Bytes.Stderr, DetachKeys: a.keys, PlainStdout: req.Stdout,
		PlainStderr: req.Stderr,
	}
	if !a.stdin {
		req.IgnoreInput()
	} else {
		at.Stdin = req.Stdin
		if req.Terminal != nil {
			at.Terminal = req.Terminal
			var leave context.CancelCauseFunc
			ctx, leave = context.WithCancelCause(ctx)
			defer leave(nil)
			at.PlainStdin = req.LineInput(backends.ParseDetachKeys(a.keys), leave)
		}
	}
	code, err := req.Runtime.Attach(ctx, at)
	if errors.Is(err, backends.ErrDetached) {
		return nil
	}
	return programExit(code, err)
}
