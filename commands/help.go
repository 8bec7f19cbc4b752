package commands

import (
	"context"
	"fmt"
	"io"
	"slices"

	"nomadctld/internal/escape"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(help) }) }

type help struct{}

func (help) Spec() router.Spec {
	return router.Spec{
		Name:     "help",
		Args:     "[COMMAND]",
		Short:    "List commands or explain one",
		Group:    router.GroupAccess,
		Rank:     1,
		Target:   router.TargetNone,
		RightSet: router.Public,
		Long:     "List the commands that you may use, or explain one, like COMMAND --help.",
		Examples: []router.Example{
			{Line: "help"},
			{Line: "help restart"},
		},
	}
}

func (help) Run(_ context.Context, req *router.Request) error {
	allowed := req.AllowedCommands()
	if len(req.Args) == 1 {
		i := slices.IndexFunc(allowed, func(s router.Spec) bool { return s.Name == req.Args[0] })
		switch isCommand := func(s router.Spec) bool { return s.Name == req.Args[0] && !s.Hidden }; {
		case i < 0 && slices.ContainsFunc(router.Specs(), isCommand):
			return router.Exit(2, fmt.Errorf("%s is not among your commands (see: help)", req.Args[0]))
		case i < 0:
			return router.UnknownCommand(req.Args[0], allowed)
		}
		_, err := io.WriteString(req.Console.Stdout, allowed[i].Help())
		return err
	}
	_, err := io.WriteString(req.Console.Stdout, overview(req.User.Name, req.User.Prefixes(), allowed))
	return err
}

// overview returns the list of commands with a greeting above it. Prefixes that do not fit on the line are left out.
func overview(name string, prefixes []string, allowed []router.Spec) string {
	const columns, more = 80, " ... (see: whoami)"
	greeting := escape.Text("You are " + name + ". Your jobs start with:")
	for i, p := range prefixes {
		p = " " + escape.Text(p)
		if i > 0 && len(greeting)+len(p)+len(more) > columns {
			greeting += more
			break
		}
		greeting += p
	}
	return greeting + "\nCOMMAND --help shows flags and examples.\n\n" + router.CommandList(allowed)
}
