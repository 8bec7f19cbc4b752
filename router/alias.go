package router

import (
	"context"
	"fmt"
	"slices"

	"nomadctld/internal/cmdline"
)

// expandAlias splits the command line and replaces a first word that is an alias by the alias's words. It does so
// once, so an alias cannot refer to another. A command takes precedence over an alias of the same name. An empty line
// becomes help. The name of a subsystem is not expanded.
func expandAlias(aliases map[string]string) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			req.Expanded = req.Session.Line
			words, err := cmdline.Split(req.Expanded)
			if err != nil {
				return Exit(2, err)
			}
			if len(words) == 0 {
				req.Expanded, words = "help", []string{"help"}
			}
			if line, ok := aliases[words[0]]; ok && commandTable[words[0]] == nil && !req.Session.Subsystem {
				rest, err := cmdline.From(req.Expanded, 1)
				if err != nil {
					return Exit(2, err)
				}
				req.Expanded = line + " " + rest
				expansion, err := cmdline.SplitAlias(line)
				if err != nil {
					return Exit(2, fmt.Errorf(
						"alias %s in the gateway's configuration is not a valid command line; ask the gateway's operator",
						words[0]))
				}
				words = slices.Concat(expansion, words[1:])
			}
			req.Words = words
			req.Event.Command = req.redacted.words
			return next(ctx, req)
		}
	}
}
