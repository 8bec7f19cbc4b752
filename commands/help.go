package commands

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"nomadctld/internal/escape"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(help) }) }

type help struct{}

func (help) Spec() router.Spec {
	return router.Spec{
		Name:   "help",
		Args:   "[COMMAND]",
		Short:  "List the commands you may use, or explain one",
		Target: router.TargetNone,
		Set:    router.Public,
	}
}

func (help) Run(_ context.Context, req *router.Request) error {
	allowed := req.AllowedCommands()
	if len(req.Args) == 1 {
		i := slices.IndexFunc(allowed, func(s router.Spec) bool { return s.Name == req.Args[0] })
		if i < 0 {
			return router.UnknownCommand(req.Args[0], allowed)
		}
		_, err := io.WriteString(req.Stdout, allowed[i].Help())
		return err
	}
	var b strings.Builder
	width := 0
	for _, spec := range allowed {
		width = max(width, len(spec.Name+" "+spec.Args))
	}
	fmt.Fprintf(&b, "You are %s. Your jobs begin with: %s\n\n", escape.Text(req.User.Name), escape.Text(strings.Join(req.User.Prefixes(), " ")))
	b.WriteString("Commands (COMMAND --help tells more):\n")
	for _, spec := range allowed {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, spec.Name+" "+spec.Args, spec.Short)
	}
	_, err := io.WriteString(req.Stdout, b.String())
	return err
}
