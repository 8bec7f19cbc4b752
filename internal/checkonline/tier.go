package checkonline

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"nomadctld/backends/docker"
	"nomadctld/backends/nomad"
	"nomadctld/config"
)

const (
	// maxSkew is the maximum clock difference without a warning. It exceeds what a slow response and the resolution of
	// an HTTP date (one second) can cause.
	maxSkew = 5 * time.Second

	minNomadVersion = "1.3" // the first with the parameters that listings need
)

// check is the check of one tier.
type check struct {
	tier       config.Tier
	http       *http.Client
	namespaces []string // of the prefix groups; nil: all
	exec       string   // docker.exec
	daemons    *docker.Docker

	token string
	facts []Fact
}

func (c *check) add(check, state, detail, hint string) {
	c.facts = append(c.facts, Fact{c.tier.Name, check, state, detail, hint})
}

func (c *check) run(ctx context.Context) {
	c.facts = append(c.facts,
		certificateFile(c.tier.Name, "the gateway's client certificate", c.tier.TLS.Cert, time.Now())...)
	if !c.reach(ctx) { // without the token
		return
	}
	var err error
	if c.token, err = nomad.ReadToken(c.tier.TokenFile); err != nil {
		c.add("token", Error, err.Error(), "check the file that the setting token names")
		return
	}
	if !c.checkToken(ctx) {
		return
	}
	nodes, nodesErr := c.nodes(ctx)
	c.version(ctx, nodes)
	c.docker(ctx, nodes, nodesErr)
}

// reach checks the connection, its certificate and the clock, and whether the cluster has a leader.
func (c *check) reach(ctx context.Context) bool {
	var leader string
	sent := time.Now()
	response, err := c.get(ctx, "/v1/status/leader", &leader)
	received := time.Now()
	if response == nil {
		hint := "check that Nomad is running and that url is right"
		if expired := expiredCertificate(err); expired != nil {
			c.facts = append(c.facts, certificate(c.tier.Name, "Nomad's certificate", expired, received))
			hint = "renew Nomad's certificate"
		} else if isTLSError(err) {
			hint = fmt.Sprintf("check ca, cert and servername in [nomad.%s.tls]", c.tier.Name)
		}
		c.add("reachable", Error, fmt.Sprintf("%s: %v", c.tier.URL, withoutURL(err)), hint)
		return false
	}
	if err != nil || leader == "" {
		detail := fmt.Sprintf("%s: no leader", c.tier.URL)
		if err != nil {
			detail = fmt.Sprintf("%s: %v", c.tier.URL, err)
		}
		c.add("reachable", Error, detail, "check the Nomad servers: nomad server members")
		return false
	}
	c.add("reachable", OK, fmt.Sprintf("%s responds in %s", c.tier.URL, received.Sub(sent).Round(time.Millisecond)), "")
	if response.TLS != nil {
		c.facts = append(c.facts,
			certificate(c.tier.Name, "Nomad's certificate", response.TLS.PeerCertificates, received))
	}
	c.clock(response.Header.Get("Date"), sent, received)
	return true
}

// clock compares the time of a response with the times before and after it.
func (c *check) clock(date string, sent, received time.Time) {
	there, err := http.ParseTime(date)
	if err != nil {
		c.add("clock", Warning, "Nomad did not send its time", "")
		return
	}
	// The date was rounded down to a second, at some time between sent and received.
	skew := there.Add(time.Second / 2).Sub(sent.Add(received.Sub(sent) / 2)).Round(time.Second)
	switch {
	case skew.Abs() <= maxSkew:
		c.add("clock", OK, fmt.Sprintf("differs by at most %s", maxSkew), "")
	case skew > 0:
		c.add("clock", Warning, fmt.Sprintf("Nomad's clock is %s ahead", skew), "synchronize both clocks")
	default:
		c.add("clock", Warning, fmt.Sprintf("Nomad's clock is %s behind", -skew), "synchronize both clocks")
	}
}

// version reads the version from the agent or, if the token cannot read that, from the nodes.
func (c *check) version(ctx context.Context, nodes []node) {
	var self struct {
		Member struct{ Tags map[string]string } `json:"member"`
	}
	version := ""
	if _, err := c.get(ctx, "/v1/agent/self", &self); err == nil {
		version = self.Member.Tags["build"]
	}
	for _, n := range nodes {
		if version == "" {
			version = n.Version
		}
	}
	switch {
	case version == "":
		c.add("version", OK, "unknown: the token can read neither the agent nor the nodes (no command needs that)", "")
	case olderThan(version, minNomadVersion):
		c.add("version", Error, "Nomad "+version+" is too old: listings need "+minNomadVersion+" or later", "update Nomad")
	default:
		c.add("version", OK, "Nomad "+version, "")
	}
}

// olderThan reports whether the first two numbers of version are less than those of other. A version that cannot be
// parsed is not older.
func olderThan(version, other string) bool {
	numbers := func(text string) (major, minor int, ok bool) {
		first, rest, _ := strings.Cut(text, ".")
		second, _, _ := strings.Cut(rest, ".")
		major, err := strconv.Atoi(first)
		minor, minorErr := strconv.Atoi(second)
		return major, minor, err == nil && minorErr == nil
	}
	major, minor, ok := numbers(version)
	otherMajor, otherMinor, _ := numbers(other)
	return ok && (major < otherMajor || major == otherMajor && minor < otherMinor)
}
