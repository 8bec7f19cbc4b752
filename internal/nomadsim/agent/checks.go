package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// checkResult is the last result of a check.
type checkResult struct {
	ID, Mode, Status string
	StatusCode       int `json:",omitempty"`
	Output           string
	Timestamp        int64 // seconds
	Group            string
	Task             string `json:",omitempty"`
	Service, Check   string
}

// CheckResults returns the last results of an allocation's checks, by check ID. Like Nomad, it returns nil if there are
// none or if the allocation is terminal.
func CheckResults(a *store.Allocation, now time.Time) (results map[string]checkResult) {
	if a.Terminal() {
		return nil
	}
	add := func(task string, services []jobspec.Service) {
		for _, s := range services {
			if !s.IsNomadService() {
				continue
			}
			for _, c := range s.Checks {
				if results == nil {
					results = map[string]checkResult{}
				}
				result := resultOf(a, c)
				sum := sha256.Sum256([]byte(strings.Join([]string{a.ID, task, s.Name, c.Name}, "\x00")))
				result.ID, result.Timestamp = hex.EncodeToString(sum[:]), now.Unix()
				// Nomad's Group is the allocation's name
				result.Group, result.Task, result.Service, result.Check = a.Name, task, s.Name, c.Name
				results[result.ID] = result
			}
		}
	}
	add("", a.Group.Services)
	for _, t := range a.Group.Tasks {
		add(t.Name, t.Services)
	}
	return results
}

func resultOf(a *store.Allocation, c jobspec.Check) checkResult {
	result := checkResult{Mode: "healthiness", Status: "success", Output: "nomad: tcp ok"}
	if c.OnUpdate == "ignore" {
		result.Mode = "readiness"
	}
	if c.Type == "http" {
		result.Output, result.StatusCode = "nomad: http ok", 200
	}
	if a.ClientStatus == "pending" {
		result.Status, result.Output, result.StatusCode = "pending", "nomad: waiting to run", 0
	} else if failure, fails := a.FailingChecks[c.Name]; fails {
		result.Status, result.Output, result.StatusCode = "failure", failure.Output, failure.StatusCode
	}
	return result
}
