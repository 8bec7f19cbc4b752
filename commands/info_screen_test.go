package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/render"
)

// recordedInfo returns the jobs of testdata/info/jobs.ndjson, by ID. They are jobs in trouble, as the gateway read them
// from a real Nomad 2.0.6-dev with two client agents. The names of the nodes were edited, and the definition of the
// check of p-check was added. The client agent of node-1 had been killed when p-lost and p-unknown were read, and
// node-2 was drained when p-drain was read.
func recordedInfo(t *testing.T) map[string]*infoView {
	t.Helper()
	text, err := os.ReadFile("testdata/info/jobs.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	views := map[string]*infoView{}
	for line := range bytes.Lines(text) {
		var r struct {
			Now      time.Time
			Job      backends.JobDetail
			Children []backends.Job
			Details  map[string]backends.AllocationDetail
			Nodes    map[string]backends.NodeState
			Usage    map[string]backends.Usage
			Checks   map[string][]backends.Check
			Excerpts map[string]logExcerpt
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		views[r.Job.ID] = &infoView{
			now: r.Now, job: r.Job, isJob: true, children: r.Children, details: r.Details, nodes: r.Nodes, usage: r.Usage,
			checks: r.Checks, excerpts: r.Excerpts,
		}
	}
	return views
}

// recordedJob returns one of them, with the selected allocations.
func recordedJob(t *testing.T, id string) *infoView {
	t.Helper()
	view := recordedInfo(t)[id]
	if view == nil {
		t.Fatalf("no job %s in testdata", id)
	}
	view.selectAllocations(false)
	return view
}

// TestInfoScreen_Problems compares what info prints for each kind of trouble with the files in testdata/info: on
// terminals of two widths, and in a pipe.
func TestInfoScreen_Problems(t *testing.T) {
	for id, view := range recordedInfo(t) {
		view.selectAllocations(false)
		name := strings.ReplaceAll(strings.TrimPrefix(id, "p-"), "/", "-")
		compareInfo(t, name, view)
	}
	lost := recordedInfo(t)["p-lost"]
	for _, a := range lost.job.Allocations {
		if a.Status == "lost" {
			lost.isJob = false
			lost.selectTask(a, a.Tasks[0])
			compareInfo(t, "lost-by-id", lost)
		}
	}
}

// TestInfoScreen_Colors checks that colors change nothing else, and that each reason of a problem has one.
func TestInfoScreen_Colors(t *testing.T) {
	for id, view := range recordedInfo(t) {
		view.selectAllocations(false)
		plain, colored := view.text(render.Style{Width: 80}), view.text(render.Style{Width: 80, Color: true})
		bare := strings.NewReplacer(string(render.Good), "", string(render.Warn), "", string(render.Bad), "", "\x1b[0m", "")
		if got := bare.Replace(colored); got != plain {
			t.Errorf("%s: got\n%s\nwant\n%s", id, got, plain)
		}
	}
	colored := recordedJob(t, "p-check").text(render.Style{Width: 80, Color: true})
	for _, want := range []string{
		"p-check  " + string(render.Warn) + "1/1\x1b[0m\n",
		"Reason      " + string(render.Warn) + "task app: unhealthy: ready failing\x1b[0m\n",
		"            " + string(render.Warn) + "deployment failed: progress deadline\x1b[0m\n",
		"Check     " + string(render.Bad) + "failure\x1b[0m  ",
	} {
		if !strings.Contains(colored, want) {
			t.Errorf("got\n%q\nwithout %q", colored, want)
		}
	}
}

func compareInfo(t *testing.T, name string, view *infoView) {
	t.Helper()
	for suffix, width := range map[string]int{"80x24": 80, "120x40": 120, "pipe": 0} {
		got := view.text(render.Style{Width: width})
		for line := range strings.Lines(got) {
			if width == 0 && line != "\n" && strings.Count(line, "|") < 3 {
				t.Errorf("%s: a fact on several lines: %q", name, line)
			}
		}
		compareScreen(t, fmt.Sprintf("info/%s-%s.txt", name, suffix), got, width)
	}
}
