package nomadsim

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
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

func (a *allocation) checkResults(now time.Time) (results map[string]checkResult) {
	add := func(task string, services []jobspec.Service) {
		for _, s := range services {
			if !s.IsNomadService() {
				continue
			}
			for _, c := range s.Checks {
				if results == nil {
					results = map[string]checkResult{}
				}
				result := a.check(c)
				sum := sha256.Sum256([]byte(strings.Join([]string{a.ID, task, s.Name, c.Name}, "\x00")))
				result.ID, result.Timestamp = hex.EncodeToString(sum[:]), now.Unix()
				// Nomad's Group is the allocation's name
				result.Group, result.Task, result.Service, result.Check = a.Name, task, s.Name, c.Name
				results[result.ID] = result
			}
		}
	}
	add("", a.group.Services)
	for _, t := range a.group.Tasks {
		add(t.Name, t.Services)
	}
	return results
}

func (a *allocation) check(c jobspec.Check) checkResult {
	result := checkResult{Mode: "healthiness", Status: "success", Output: "nomad: tcp ok"}
	if c.OnUpdate == "ignore" {
		result.Mode = "readiness"
	}
	if c.Type == "http" {
		result.Output, result.StatusCode = "nomad: http ok", http.StatusOK
	}
	if a.ClientStatus == "pending" {
		result.Status, result.Output, result.StatusCode = "pending", "nomad: waiting to run", 0
	} else if failure, fails := a.failingChecks[c.Name]; fails {
		result.Status, result.Output, result.StatusCode = "failure", failure.Output, failure.StatusCode
	}
	return result
}
