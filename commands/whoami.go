package commands

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

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
		Long: "Show your login, your key and its certificate, and for each of your prefix groups: jobs, tiers and " +
			"rights.\n\nLocked rights have a requirement that this login does not meet, such as a certificate.",
		Examples: []router.Example{{Line: "whoami"}},
		Flags:    func(f *pflag.FlagSet) { f.BoolVar(&w.json, "json", false, "print JSON") },
	}
}

type whoamiOutput struct {
	Login  string                `json:"login" doc:"the ssh user name"`
	Name   string                `json:"name" doc:"display name"`
	Key    string                `json:"key" doc:"fingerprint of your SSH key"`
	Groups []router.GrantSummary `json:"groups" doc:"the grants of each of your prefix groups"`

	Certificate *whoamiCertificate `json:"certificate" doc:"null: you have used a key without a certificate"`
}

type whoamiCertificate struct {
	Serial     string     `json:"serial" doc:"serial number; 0: the CA has set none"`
	KeyID      string     `json:"key_id" doc:"name that the CA has given to the certificate"`
	CA         string     `json:"ca" doc:"fingerprint of the CA's key"`
	Principals []string   `json:"principals" doc:"names for which the certificate is valid"`
	Expires    *time.Time `json:"expires" doc:"null: never"`
}

// certificateOf returns the certificate of the login, or nil.
func certificateOf(req *router.Request) *whoamiCertificate {
	c := req.Session.Certificate
	if c == nil {
		return nil
	}
	return &whoamiCertificate{strconv.FormatUint(c.Serial, 10), c.KeyID, c.CA, c.Principals, c.Expires}
}

func (w *whoami) Run(_ context.Context, req *router.Request) error {
	grants := req.User.Grants()
	if w.json {
		return render.JSON(req.Console.Stdout, whoamiOutput{
			req.User.Login, req.User.Name, req.Session.Fingerprint, grants, certificateOf(req),
		})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\nkey %s\n", escape.Text(req.User.Login), escape.Text(req.User.Name),
		escape.Text(req.Session.Fingerprint))
	if c := certificateOf(req); c != nil {
		fmt.Fprintf(&b, "certificate %s, serial %s, %s\n", escape.Text(c.KeyID), c.Serial, expiryText(c.Expires))
		fmt.Fprintf(&b, "CA %s\nprincipals %s\n", c.CA, escape.Text(strings.Join(c.Principals, ", ")))
	}
	for _, g := range grants {
		fmt.Fprintf(&b, "\ngroup %s\n", escape.Text(g.Group))
		line := func(what, text string) { fmt.Fprintf(&b, "  %-11s %s\n", what, escape.Text(text)) }
		line("jobs", prefixPatterns(g.Prefixes))
		if g.Namespaces != nil {
			line("namespaces", phrase.List(g.Namespaces))
		}
		line("tiers", phrase.List(g.Tiers))
		line("rights", rightsText(g.Rights))
		for _, to := range slices.Sorted(maps.Keys(g.Locked)) {
			line("locked", rightsText(g.Locked[to])+" (granted only "+to+")")
		}
	}
	_, err := io.WriteString(req.Console.Stdout, b.String())
	return err
}

// expiryText states when a certificate expires.
func expiryText(expires *time.Time) string {
	if expires == nil {
		return "never expires"
	}
	return "expires " + expires.Format(time.RFC3339)
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
