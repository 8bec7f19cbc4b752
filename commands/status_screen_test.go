package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/render"
)

// recordedStatus is testdata/status/jobs.json: jobs in several states, as the gateway read them from a real Nomad
// 2.0.6-dev.
type recordedStatus struct {
	Now  time.Time
	Jobs []struct {
		Job         backends.JobDetail
		Children    []backends.Job
		Deployments []backends.Deployment
	}
}

func readRecordedStatus(t *testing.T) (recorded recordedStatus) {
	t.Helper()
	text, err := os.ReadFile("testdata/status/jobs.json")
	if err == nil {
		err = json.Unmarshal(text, &recorded)
	}
	if err != nil {
		t.Fatal(err)
	}
	return recorded
}

func TestStatusScreen(t *testing.T) {
	recorded := readRecordedStatus(t)
	if len(recorded.Jobs) < 14 {
		t.Fatalf("only %d jobs in testdata", len(recorded.Jobs))
	}
	for _, r := range recorded.Jobs {
		name := strings.TrimPrefix(r.Job.ID, "p-")
		for _, size := range [][2]int{{80, 24}, {120, 40}} {
			style := render.Style{Width: size[0]}
			got := statusView{job: r.Job, children: r.Children, now: recorded.Now, style: style}.text()
			compareScreen(t, fmt.Sprintf("status/%s-%dx%d.txt", name, size[0], size[1]), got, size[0])
			if len(r.Deployments) > 1 {
				got := deploymentsText(r.Deployments, style)
				compareScreen(t, fmt.Sprintf("deployment/%s-%dx%d.txt", name, size[0], size[1]), got, size[0])
			}
		}
	}
}

func TestStatus_Evaluations(t *testing.T) {
	recorded := readRecordedStatus(t)
	for _, r := range recorded.Jobs {
		view := statusView{job: r.Job, children: r.Children, now: recorded.Now}
		if got := view.text(); strings.Contains(got, "Evaluations") {
			t.Errorf("%s: evaluations without --evals:\n%s", r.Job.ID, got)
		}
		view.evals = true
		_, got, _ := strings.Cut(view.text(), "\nEvaluations\n")
		got, _, _ = strings.Cut(got, "\n\n")
		if r.Job.Children == nil && strings.Count(got, "\n") != len(r.Job.Evaluations) {
			t.Errorf("%s: want %d evaluations and a heading:\n%s", r.Job.ID, len(r.Job.Evaluations), got)
		}
	}
}

func TestStatus_Colors(t *testing.T) {
	recorded := readRecordedStatus(t)
	for _, r := range recorded.Jobs {
		style := render.Style{Width: 80}
		plain := statusView{job: r.Job, children: r.Children, now: recorded.Now, style: style}.text()
		style.Color = true
		colored := statusView{job: r.Job, children: r.Children, now: recorded.Now, style: style}.text()
		bare := strings.NewReplacer(string(render.Good), "", string(render.Warn), "", string(render.Bad), "", "\x1b[0m", "")
		if bare.Replace(colored) != plain || !strings.Contains(colored, "Status") {
			t.Errorf("%s: got\n%s\nwant, with colors,\n%s", r.Job.ID, colored, plain)
		}
		if r.Job.Status == "running" && !strings.Contains(colored, "= "+string(render.Good)+"running\x1b[0m\n") {
			t.Errorf("%s: the status has no color:\n%q", r.Job.ID, colored)
		}
	}
}

func TestStatus_LongLists(t *testing.T) {
	now := time.Unix(100000, 0)
	job := backends.JobDetail{Job: backends.Job{ID: "p-web"}}
	for i := range 12 {
		job.Allocations = append(job.Allocations,
			backends.Allocation{ID: fmt.Sprintf("complete%d", i), Status: "complete", Created: now.Add(-time.Hour)},
			backends.Allocation{
				ID: fmt.Sprintf("%08d", i), Group: "web", Status: "failed",
				RescheduleAt: now.Add(time.Duration(12-i) * time.Minute),
			})
	}
	job.Allocations = append(job.Allocations,
		backends.Allocation{ID: "replaced", Next: "x", Status: "failed", RescheduleAt: now.Add(time.Minute)},
		backends.Allocation{ID: "past", Status: "failed", RescheduleAt: now.Add(-time.Minute)})
	got := statusView{job: job, now: now}.text()
	if _, after, _ := strings.Cut(got, "Future Rescheduling Attempts\n"); !strings.HasPrefix(after,
		"Task Group  Allocation  Attempt\nweb         00000011    1m0s from now\nweb         00000010    2m0s from now\n") ||
		!strings.Contains(after, "00000002    10m0s from now\n... and 2 later attempts\n") {
		t.Errorf("attempts: got\n%s", got)
	}
	if !strings.HasSuffix(got, "\n... and 2 older finished allocations (see: ps --all)\n") {
		t.Errorf("allocations: got\n%s", got)
	}
}

func TestStatus_UntrustedText(t *testing.T) {
	const evil = "\x1b[31mevil"
	job := backends.JobDetail{
		Job: backends.Job{
			ID: evil, Unplaced: []backends.UnplacedGroup{{Group: evil, Reasons: []string{evil}}},
			LatestDeployment: &backends.Deployment{
				ID: evil, Description: evil, Status: evil, Groups: []backends.DeploymentGroup{{Group: evil}},
			},
			Allocations: []backends.Allocation{{ID: evil, Group: evil, Node: evil}},
		},
		Name: evil, IdempotencyToken: evil, Actions: []backends.Action{{Name: evil, Group: evil, Task: evil}},
	}
	for _, view := range []statusView{
		{job: job, evals: true},
		{job: backends.JobDetail{Children: &backends.ChildCounts{}}, children: []backends.Job{job.Job}},
	} {
		for _, width := range []int{0, 40} {
			view.style.Width = width
			got := view.text() + deploymentsText([]backends.Deployment{*job.LatestDeployment}, view.style)
			if strings.Contains(got, "\x1b") {
				t.Errorf("an escape sequence in\n%q", got)
			}
		}
	}
}
