package nomadtest

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestMain(m *testing.M) {
	code := m.Run()
	StopAgent()
	os.Exit(code)
}

// TestScenario_SameOnEveryCluster compares the states of all jobs between the clusters.
func TestScenario_SameOnEveryCluster(t *testing.T) {
	var first map[string]string
	for _, cluster := range Clusters(t) {
		client, err := api.NewClient(&api.Config{Address: cluster.URL, SecretID: Token})
		if err != nil {
			t.Fatal(err)
		}
		if err := checkState(client); err != nil {
			t.Errorf("%s: %v", cluster.Kind, err)
		}
		got := describeJobs(t, client)
		if cluster.OlderThan(t, 1, 10) {
			for job := range got { // Nomad 1.6 adds the reason
				got[job] = strings.ReplaceAll(got[job], "stop alloc was rescheduled because it failed healthy", "stop  healthy")
			}
		}
		if first == nil {
			first = got
		}
		for job := range first {
			if got[job] != first[job] {
				t.Errorf("%s: %s: got\n%s\nwant, as in the simulated cluster,\n%s", cluster.Kind, job, got[job], first[job])
			}
		}
		if len(got) != len(first) {
			t.Errorf("%s: got %d jobs, want %d", cluster.Kind, len(got), len(first))
		}
	}
}

var childSuffix = regexp.MustCompile(`/(periodic-|dispatch-).*`)

// describeJobs describes each job without the details that depend on the time or the cluster.
func describeJobs(t *testing.T, client *api.Client) map[string]string {
	t.Helper()
	jobs, _, err := client.Jobs().List(allNamespaces)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, stub := range jobs {
		in := &api.QueryOptions{Namespace: stub.Namespace}
		versions, _, _, err := client.Jobs().Versions(stub.ID, false, in)
		if err != nil {
			t.Fatalf("versions of %q: %v", stub.ID, err)
		}
		var text strings.Builder
		fmt.Fprintln(&text, stub.Type, stub.Status, stub.ParentID, stub.JobSummary.Children)
		for _, v := range versions {
			fmt.Fprintln(&text, "version", *v.Version, *v.Stable, v.Meta, v.Dispatched)
			if p := v.Periodic; p != nil {
				fmt.Fprintln(&text, *p.Enabled, *p.Spec, p.Specs, *p.TimeZone)
			}
			if p := v.ParameterizedJob; p != nil {
				fmt.Fprintln(&text, p.Payload, p.MetaRequired, p.MetaOptional)
			}
			for _, g := range v.TaskGroups {
				fmt.Fprintln(&text, "group", *g.Name, *g.Count, len(g.Constraints), len(g.Services))
				for _, task := range g.Tasks {
					fmt.Fprintln(&text, "task", task.Name, task.Driver, task.Env)
				}
			}
		}
		text.WriteString(allocationLines(t, client, stub.ID, in))
		all[stub.Namespace+"/"+childSuffix.ReplaceAllString(stub.ID, "/$1")] = text.String()
	}
	return all
}

func allocationLines(t *testing.T, client *api.Client, job string, in *api.QueryOptions) string {
	t.Helper()
	stubs, _, err := client.Jobs().Allocations(job, true, in)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range stubs {
		a, _, err := client.Allocations().Info(s.ID, in)
		if err != nil {
			t.Fatal(err)
		}
		health := "unknown"
		if a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil {
			health = fmt.Sprint(*a.DeploymentStatus.Healthy)
		}
		rescheduled := 0
		if a.RescheduleTracker != nil {
			rescheduled = len(a.RescheduleTracker.Events)
		}
		lines = append(lines, fmt.Sprintln(childSuffix.ReplaceAllString(a.Name, "/$1"), a.NodeName, *a.Job.Version,
			a.ClientStatus, a.DesiredStatus,
			a.DesiredDescription, "healthy", health, "previous", a.PreviousAllocation != "", "next", a.NextAllocation != "",
			rescheduled))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
