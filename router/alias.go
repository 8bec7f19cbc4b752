package router

import (
	"context"
	"fmt"
	"slices"
)

// expandAlias splits the command line and, when its first word is an alias, puts the alias's own words in its place:
// once, so that an alias cannot lead to another. A command of the same name wins.
func expandAlias(aliases map[string]string) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			req.expandedLine = req.Line
			words, err := Split(req.expandedLine)
			if err != nil {
				return Exit(2, err)
			}
			if len(words) == 0 {
				req.expandedLine, words = "help", []string{"help"}
			}
			if line, ok := aliases[words[0]]; ok && registry[words[0]] == nil && !req.Subsystem {
				rest, err := lineFrom(req.expandedLine, 1)
				if err != nil {
					return Exit(2, err)
				}
				req.expandedLine = line + " " + rest
				expansion, err := Split(line)
				if err != nil || len(expansion) == 0 {
					return Exit(2, fmt.Errorf("alias %s of the gateway's configuration is no command line", words[0]))
				}
				words = slices.Concat(expansion, words[1:])
			}
			req.Words = words
			req.Event.Command = req.redacted.words
			return next(ctx, req)
		}
	}
}
