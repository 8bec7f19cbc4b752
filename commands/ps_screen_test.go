package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"nomadctld/backends"
	"nomadctld/internal/render"
)

// recordedJobs returns the jobs of testdata/ps/jobs.json. They are jobs in trouble, as the gateway read them from a
// real Nomad 2.0.6-dev. Those of p-lost, p-unknown and p-port were edited.
func recordedJobs(t *testing.T) (jobs []backends.Job, view func(jobs []backends.Job) *psView) {
	t.Helper()
	text, err := os.ReadFile("testdata/ps/jobs.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Now    time.Time
		Jobs   []backends.Job
		Usage  map[string]backends.Usage
		Checks map[string][]backends.Check
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	return recorded.Jobs, func(jobs []backends.Job) *psView {
		return newPsView(jobs, recorded.Usage, recorded.Checks, recorded.Now)
	}
}

// screen returns what ps prints on a terminal, at most height-1 lines of it.
func screen(t *testing.T, view *psView, width, height int) string {
	t.Helper()
	var got bytes.Buffer
	if err := writePsTerminal(&got, view.lines(), render.Style{Width: width}, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(got.String(), "\n")
	for _, line := range lines {
		if w := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); w > width {
			t.Errorf("a line of %d columns on a terminal of %d: %q", w, width, line)
		}
	}
	return strings.Join(lines[:min(len(lines), height-1)], "")
}

// TestPsScreen_Problems compares what ps --all prints for each kind of trouble with the files in testdata/ps.
func TestPsScreen_Problems(t *testing.T) {
	jobs, view := recordedJobs(t)
	problems := []string{
		"constraint", "memory", "port", "datacenter", "image", "template", "variable", "prestart", "crash", "check", "batch",
		"canary", "sysbatch", "import", "lost", "unknown", "oom", "lifecycle", "stopped", "zero", "nightly", "x-very", "",
	}
	for _, name := range problems {
		named := slices.DeleteFunc(slices.Clone(jobs), func(j backends.Job) bool {
			return !strings.HasPrefix(j.ID, "p-"+name)
		})
		if len(named) == 0 {
			t.Errorf("no job p-%s in testdata", name)
		}
		for _, size := range [][2]int{{80, 24}, {120, 40}} {
			shown := view(named)
			shown.startedFirst()
			base := name
			if name == "" { // everything, without --all
				base = "all"
				shown.hideSuperseded()
			}
			compareScreen(t, fmt.Sprintf("ps/%s-%dx%d.txt", base, size[0], size[1]), screen(t, shown, size[0], size[1]), size[0])
		}
	}
}

func TestPsView_Problems(t *testing.T) {
	jobs, view := recordedJobs(t)
	shown := view(jobs)
	shown.keepProblems()
	var got []string
	for _, j := range shown.jobs {
		got = append(got, strings.TrimPrefix(j.job.ID, "p-"))
	}
	want := "batch canary check constraint crash datacenter image memory oom port prestart template unknown variable"
	if strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, " "), want)
	}
}

func TestPsView_Sort(t *testing.T) {
	mhz := func(n float64) *float64 { return &n }
	mib := func(n uint64) *uint64 { n <<= 20; return &n }
	now := time.Unix(100000, 0)
	task := func(id string, restarts int, age time.Duration) backends.Allocation {
		return backends.Allocation{Status: "running", Tasks: []backends.Task{{
			Name: id, ExecID: id, State: "running", Restarts: restarts, Started: now.Add(-age),
		}}}
	}
	jobs := []backends.Job{
		{ID: "a", Allocations: []backends.Allocation{task("a1", 0, time.Hour), task("a2", 1, 2*time.Hour)}},
		{ID: "b", Allocations: []backends.Allocation{task("b1", 9, time.Minute)}},
	}
	usage := map[string]backends.Usage{
		"a1": {CPU: mhz(1), Memory: mib(30)}, "a2": {CPU: mhz(2), Memory: mib(20)}, "b1": {CPU: mhz(9), Memory: mib(40)},
	}
	for key, want := range map[string]string{
		"": "a1 a2 b1", "cpu": "b1 a2 a1", "mem": "a1 a2 b1", "restarts": "b1 a2 a1", "age": "a2 a1 b1",
	} {
		view := newPsView(jobs, usage, nil, now)
		view.sort(key)
		if got := strings.Join(strings.Fields(view.execIDs()), " "); got != want {
			t.Errorf("%q: got %s, want %s", key, got, want)
		}
	}
}

func TestPsFormat(t *testing.T) {
	jobs, view := recordedJobs(t)
	for format, want := range map[string]string{
		"id,job,name,state": "ID          Job    Name    State\n" +
			"85b1ff7f16  p-web  web[0]  running\n9b14d42b94  p-web  web[1]  running\n",
		"{{.Job}}/{{ .name }}:{{ID}}": "p-web/web[0]:85b1ff7f16\np-web/web[1]:9b14d42b94\n",
		`table {{.Group}}\t{{.task}}`: "Group  Task\nweb    web\nweb    web\n",
	} {
		named := slices.DeleteFunc(slices.Clone(jobs), func(j backends.Job) bool { return j.ID != "p-web" })
		var got bytes.Buffer
		if err := view(named).writeFormat(&got, format, render.Style{}); err != nil || got.String() != want {
			t.Errorf("%s: %v, got %q, want %q", format, err, got.String(), want)
		}
	}
	for format, want := range map[string]string{
		"id,nosuch":       `no field "nosuch"; the fields are id, `,
		"{{.Nosuch}}":     `no field "Nosuch"; `,
		"{{range .Jobs}}": "write a field as {{.Name}}: cannot parse ",
		"":                `no field ""; `,
	} {
		if _, err := parsePsFormat(format); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", format, err, want)
		}
	}
}

// TestPsScreen_Colors checks the colors of the states, and that a name with escape sequences cannot add others.
func TestPsScreen_Colors(t *testing.T) {
	job := backends.Job{
		ID: "p-\x1b[31mevil", Type: "service", Submitted: time.Unix(1, 0),
		Allocations: []backends.Allocation{{Status: "running", Name: "p-\x1b[31mevil.web[0]", Tasks: []backends.Task{{
			Name: "web", State: "running", Started: time.Unix(1, 0),
		}}}},
	}
	var got bytes.Buffer
	style := render.Style{Width: 80, Color: true}
	view := newPsView([]backends.Job{job}, nil, nil, time.Now())
	if err := writePsTerminal(&got, view.lines(), style, false); err != nil {
		t.Fatal(err)
	}
	good := string(render.Good)
	if strings.Count(got.String(), "\x1b") != 4 || !strings.Contains(got.String(), good+"1/1\x1b[0m") ||
		!strings.Contains(got.String(), good+"running\x1b[0m") {
		t.Errorf("got %q", got.String())
	}
}

func TestPsScreen_SystemJobNamesNodes(t *testing.T) {
	job := backends.Job{ID: "p-agent", Type: "system", Submitted: time.Unix(1, 0)}
	for _, node := range []string{"a-node-with-a-long-name.example.org", "b-node-with-a-long-name.example.org"} {
		job.Allocations = append(job.Allocations, backends.Allocation{
			ID: node, Status: "running", Name: "p-agent.agent[0]", Node: node, NodeID: node, JobType: "system",
			Tasks: []backends.Task{{Name: "agent", ExecID: "0123456789", State: "running", Started: time.Unix(1, 0)}},
		})
	}
	for _, width := range []int{80, 120} {
		got := screen(t, newPsView([]backends.Job{job}, nil, nil, time.Now()), width, 24)
		for _, a := range job.Allocations {
			if strings.Count(got, a.Node) != 1 {
				t.Errorf("%d columns: want %s once:\n%s", width, a.Node, got)
			}
		}
	}
}

func TestPsScreen_Wide(t *testing.T) {
	jobs, view := recordedJobs(t)
	var got bytes.Buffer
	if err := writePsTerminal(&got, view(jobs).lines(), render.Style{Width: 80}, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got.String(), "…") || !strings.Contains(got.String(), "Alloc") {
		t.Errorf("something is missing:\n%s", got.String())
	}
}

func TestPs_SimilarName(t *testing.T) {
	jobs := []backends.Job{{ID: "p-lnx-mattermost"}, {ID: "p-team1-web"}}
	for filter, want := range map[string]string{
		"matermost": ": did you mean mattermost?", "p-team1-wbe": ": did you mean p-team1-web?",
		"team1-wbe": ": did you mean team1-web?", "zzzzzz": "", "w": "",
	} {
		if got := similarName(filter, jobs); got != want {
			t.Errorf("%s: got %q, want %q", filter, got, want)
		}
	}
}
