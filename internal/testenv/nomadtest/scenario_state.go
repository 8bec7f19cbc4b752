package nomadtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// wantDeployments are the expected states of the jobs' deployments, of all versions.
var wantDeployments = map[string]string{
	"p-team1-web": "successful successful", HostileJobID: "successful", "p-team2-shop": "successful",
	"p-team10-web": "successful", "q-team2-db": "successful", "p-team1-fail": "failed", "p-team1-slow": "failed",
	"p-team1-moved": "successful", "p-team1-versions": "successful successful", "p-team1-checked": "successful",
	"p-team3-shell": "successful", "p-team3-talker": "successful", "p-team3-crashed": "failed",
}

// wantAllocations are the expected states of the allocations of jobs and their children, in all namespaces.
var wantAllocations = map[string]string{
	"p-team1-web": "running running running", HostileJobID: "running", "p-team2-shop": "running",
	"p-team10-web": "running", "q-team2-db": "running", "p-team1-multi": "running", "p-team1-fail": "failed",
	"p-team1-slow": "running",
	"p-team1-done": "complete", "p-team1-cron": "complete", "p-team1-import": "complete",
	"p-team1-versions": "complete running running", "p-team1-moved": "failed running", "p-team1-checked": "running",
	"p-team3-shell": "running", "p-team3-talker": "running running", "p-team3-finished": "complete",
	"p-team3-crashed": "failed",
}

var allNamespaces = &api.QueryOptions{Namespace: "*"}

// checkState returns an error if a job is not in its expected state.
func checkState(client *api.Client) error {
	if err := checkDeployments(client, wantDeployments); err != nil {
		return err
	}
	allocations, _, err := client.Allocations().List(allNamespaces)
	if err != nil {
		return err
	}
	got := map[string][]string{}
	for _, a := range allocations {
		root, _, _ := strings.Cut(a.JobID, "/")
		got[root] = append(got[root], a.ClientStatus)
	}
	if err := compareStates("allocations", got, wantAllocations); err != nil {
		return err
	}
	for _, a := range allocations {
		if a.ClientStatus != "running" {
			continue
		}
		if err := checkStats(client, a); err != nil {
			return err
		}
		if a.JobID == "p-team1-checked" {
			if err := checkServiceChecks(client, a.ID, map[string]string{"alive": "success", "ready": "failure"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkDeployments returns an error if a deployment is not in its expected state.
func checkDeployments(client *api.Client, want map[string]string) error {
	deployments, _, err := client.Deployments().List(allNamespaces)
	if err != nil {
		return err
	}
	got := map[string][]string{}
	for _, d := range deployments {
		got[d.JobID] = append(got[d.JobID], d.Status)
	}
	return compareStates("deployments", got, want)
}

func compareStates(what string, got map[string][]string, want map[string]string) error {
	for job, states := range want {
		slices.Sort(got[job])
		if now := strings.Join(got[job], " "); now != states {
			return fmt.Errorf("the %s of %q are %q, not yet %q", what, job, now, states)
		}
	}
	return nil
}

func checkStats(client *api.Client, a *api.AllocationListStub) error {
	stats, err := client.Allocations().Stats(&api.Allocation{ID: a.ID}, allNamespaces)
	if err != nil {
		return err
	}
	for name := range a.TaskStates {
		if task := stats.Tasks[name]; task == nil || len(task.ResourceUsage.MemoryStats.Measured) == 0 {
			return fmt.Errorf("task %s of %q has not been measured yet", name, a.JobID)
		}
	}
	return nil
}

func checkServiceChecks(client *api.Client, allocation string, want map[string]string) error {
	checks, err := client.Allocations().Checks(allocation, allNamespaces)
	if err != nil {
		return err
	}
	got := map[string]string{}
	for _, check := range checks {
		got[check.Check] = check.Status
	}
	for name, status := range want {
		if got[name] != status {
			return fmt.Errorf("check %s is %q, not yet %s", name, got[name], status)
		}
	}
	return nil
}
