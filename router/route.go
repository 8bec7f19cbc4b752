package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/internal/audit"
)

// route finds the command that the first word names, creates it and parses its flags. It also handles --help. A user
// who may not use the command does not see its flags.
func route(next Handler) Handler {
	return func(ctx context.Context, req *Request) error {
		name := req.Words[0]
		create := commandTable[name]
		if req.Session.Subsystem {
			return unknownSubsystem(name, req.AllowedCommands())
		}
		if create == nil {
			return UnknownCommand(name, req.AllowedCommands())
		}
		command := create()
		spec := command.Spec()
		if err := checkAllowed(req, spec); err != nil {
			return spec.withProgramCode(err)
		}
		args, err := spec.Parse(req, req.Words[1:])
		if errors.Is(err, pflag.ErrHelp) {
			req.Event.Decision = audit.Allowed
			if err := req.writeStartEvent(false); err != nil {
				return err
			}
			_, err := io.WriteString(req.Console.Stdout, spec.Help())
			return err
		}
		if err != nil {
			return Exit(2, fmt.Errorf("%s: %w (usage: %s; see: %s --help)", name, err, spec.Usage(), name))
		}
		req.Command, req.Args = command, args
		req.Event.Decision = audit.Failed // until authorize allows or denies it
		return spec.withProgramCode(next(ctx, req))
	}
}

// checkAllowed returns an error unless the user may use the command on at least one job.
func checkAllowed(req *Request, spec Spec) error {
	if spec.RightSet == Public || req.User.May(spec.Name) {
		return nil
	}
	req.Event.Decision = audit.Denied
	if missing := req.User.Locked(spec.Name); missing != "" {
		return fmt.Errorf("%s is granted only %s (see: whoami)", spec.Name, missing)
	}
	return fmt.Errorf("%s is not among your commands: %s", spec.Name, strings.Join(specNames(req.AllowedCommands()), ", "))
}
