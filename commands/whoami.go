package commands

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/internal/escape"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(whoami) }) }

type whoami struct{ json bool }

func (w *whoami) Spec() router.Spec {
	return router.Spec{
		Name:     "whoami",
		Short:    "Show your key and rights",
		Group:    router.GroupAccess,
		Rank:     2,
		Target:   router.TargetNone,
		RightSet: router.Public,
		JSON:     whoamiOutput{},
		Long:     "Show your login and key, and for each of your prefix groups: jobs, tiers and rights.",
		Examples: []router.Example{{Line: "whoami"}},
		Flags:    func(f *pflag.FlagSet) { f.BoolVar(&w.json, "json", false, "print JSON") },
	}
}

type whoamiOutput struct {
	Login  string                `json:"login" doc:"the ssh user name"`
	Name   string                `json:"name" doc:"display name"`
	Key    string                `json:"key" doc:"fingerprint of your SSH key"`
	Groups []router.GrantSummary `json:"groups" doc:"the grants of each of your prefix groups"`
}

func (w *whoami) Run(_ context.Context, req *router.Request) error {
	grants := req.User.Grants()
	if w.json {
		return render.JSON(req.Console.Stdout, whoamiOutput{req.User.Login, req.User.Name, req.Session.Fingerprint, grants})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\nkey %s\n", escape.Text(req.User.Login), escape.Text(req.User.Name),
		escape.Text(req.Session.Fingerprint))
	for _, g := range grants {
		fmt.Fprintf(&b, "\ngroup %s\n", escape.Text(g.Group))
		line := func(what, text string) { fmt.Fprintf(&b, "  %-11s %s\n", what, escape.Text(text)) }
		line("jobs", prefixPatterns(g.Prefixes))
		if g.Namespaces != nil {
			line("namespaces", phrase.List(g.Namespaces))
		}
		line("tiers", phrase.List(g.Tiers))
		line("rights", rightsText(g.Rights))
	}
	_, err := io.WriteString(req.Console.Stdout, b.String())
	return err
}

func prefixPatterns(prefixes []string) string {
	var patterns []string
	for _, p := range prefixes {
		patterns = append(patterns, p+"*")
	}
	return phrase.List(patterns)
}

// rightsText lists rights. A complete set of rights is listed by the name of the set.
func rightsText(rights []string) string {
	has := map[string]bool{}
	for _, r := range rights {
		has[r] = true
	}
	var parts []string
	for _, s := range router.RightSets {
		all, some := true, []string(nil)
		for _, right := range router.ExpandGrants([]string{string(s.Set)}) {
			if has[right] {
				some = append(some, right)
			} else {
				all = false
			}
		}
		if all {
			some = []string{string(s.Set)}
		}
		parts = append(parts, some...)
	}
	return phrase.List(parts)
}
