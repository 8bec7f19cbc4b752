package nomadsim

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// CheckFailure is the result of a failing check.
type CheckFailure struct {
	StatusCode int // of an HTTP check that got a response
	Output     string
}

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

// checksHandler returns the last results of an allocation's checks, by check ID. Like Nomad, it returns null if there
// are none or if the allocation is terminal.
func checksHandler(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
	a, n, err := c.reachableAllocation(r, id, "read-job")
	if err != nil {
		refuse(w, err)
		return
	}
	if n.spec.Hangs {
		c.hang(r)
	}
	c.delay(r, n.spec.Slow)
	var results map[string]checkResult
	if !a.terminal() {
		results = a.checkResults(time.Now())
	}
	respond(w, r, results)
}

func (a *allocation) checkResults(now time.Time) (results map[string]checkResult) {
	add := func(task string, services []Service) {
		for _, s := range services {
			if !s.isNomadService() {
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

func (a *allocation) check(c Check) checkResult {
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
