package commands

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/render"
)

func testStyle(width int) render.Style { return render.Style{Width: width} }

func TestInfo_AddressText(t *testing.T) {
	for _, tc := range []struct {
		port backends.Port
		mode string
		want string
	}{
		{backends.Port{Host: "192.0.2.1", Value: 20001}, "", "192.0.2.1:20001"},
		{backends.Port{Host: "192.0.2.1", Value: 20001, To: 80}, "host", "192.0.2.1:20001 -> 80"},
		{backends.Port{Host: "192.0.2.1", Value: 80, To: 80}, "host", "192.0.2.1:80"},
		{backends.Port{Host: "fd00::2", Value: 80}, "bridge", "[fd00::2]:80 (network mode bridge)"},
		{backends.Port{Host: "192.0.2.1", Value: 80, Task: "web"}, "", "192.0.2.1:80 (task web)"},
	} {
		if got := addressText(tc.port, tc.mode); got != tc.want {
			t.Errorf("%+v: got %q, want %q", tc.port, got, tc.want)
		}
	}
}

func TestInfo_RestartText(t *testing.T) {
	view := &infoView{now: time.Unix(1000, 0)}
	delay := backends.RestartPolicy{Attempts: 100, Interval: 10 * time.Minute, Mode: "delay"}
	for _, tc := range []struct {
		task   backends.Task
		policy backends.RestartPolicy
		want   string
	}{
		{backends.Task{Restarts: 139}, delay, "139 restarts; policy: 100 in 10m, then delay"},
		{
			backends.Task{Restarts: 1, LastRestart: time.Unix(900, 0)},
			delay,
			"1 restart; policy: 100 in 10m, then delay; last restart 1m ago",
		},
		{backends.Task{}, backends.RestartPolicy{Mode: "fail"}, "0 restarts; policy: never"},
		{backends.Task{Restarts: 2}, backends.RestartPolicy{}, "2 restarts"},
	} {
		if got := view.restartText(tc.task, tc.policy); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestInfo_UsageText(t *testing.T) {
	mib, cpu := uint64(1<<20), 3.7
	used, peak := 34*mib, 40*mib
	little := uint64(52 << 10)
	for _, tc := range []struct {
		usage      backends.Usage
		definition backends.TaskDefinition
		want       string
	}{
		{
			backends.Usage{CPU: &cpu, Memory: &used, MemoryMax: &peak},
			backends.TaskDefinition{CPU: 100, Memory: 64 * mib},
			"memory 34/64 MiB, peak 40 MiB, CPU 3/100 MHz",
		},
		{
			backends.Usage{Memory: &little},
			backends.TaskDefinition{CPU: 100, Memory: 16 * mib, MemoryMax: 32 * mib},
			"memory 52 KiB/32 MiB, reserved 16 MiB, CPU -/100 MHz",
		},
		{
			backends.Usage{},
			backends.TaskDefinition{Memory: 16 * mib, CPU: 5200, Cores: 2},
			"memory -/16 MiB, CPU -/5200 MHz (2 reserved cores)",
		},
		{backends.Usage{CPU: &cpu, Memory: &used}, backends.TaskDefinition{}, "memory 34 MiB, CPU 3 MHz"},
	} {
		if got := usageWithLimits(tc.usage, tc.definition); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	got := limitsText(backends.TaskDefinition{CPU: 100, Memory: 16 * mib, MemoryMax: 32 * mib})
	if want := "memory 16 MiB reserved, 32 MiB at most, CPU 100 MHz"; got != want {
		t.Errorf("limits: got %q, want %q", got, want)
	}
}

func TestInfo_NeedsOfGroup(t *testing.T) {
	task := func(hook string, sidecar bool, cpu int) backends.TaskDefinition {
		return backends.TaskDefinition{Hook: hook, Sidecar: sidecar, CPU: cpu, Memory: uint64(cpu) << 20}
	}
	g := backends.Group{Tasks: []backends.TaskDefinition{
		task("prestart", false, 300), task("prestart", true, 10), task("", false, 100), task("", false, 100),
		task("poststart", false, 50), task("poststop", false, 20),
	}}
	if got := needs(g); got != "CPU 310 MHz, memory 310 MiB" {
		t.Errorf("got %q", got)
	}
	g.Tasks[0].CPU = 20
	if got := needs(g); got != "CPU 260 MHz, memory 310 MiB" {
		t.Errorf("got %q", got)
	}
}

func TestInfo_ReschedulePolicyText(t *testing.T) {
	for _, tc := range []struct {
		policy backends.ReschedulePolicy
		want   string
	}{
		{
			backends.ReschedulePolicy{Unlimited: true, Delay: 30 * time.Second, MaxDelay: time.Hour},
			"unlimited, after 30s to 1h",
		},
		{backends.ReschedulePolicy{Attempts: 5, Interval: 24 * time.Hour, Delay: 90 * time.Second}, "5 in 24h, after 1m30s"},
		{backends.ReschedulePolicy{Delay: time.Second}, "never"},
	} {
		if got := reschedulePolicyText(tc.policy); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// TestInfo_Replacement checks the facts about past and next replacements of an allocation.
func TestInfo_Replacement(t *testing.T) {
	now := time.Unix(100000, 0)
	failed := backends.Allocation{ID: "a", Status: "failed", JobType: "service", Version: 1}
	with := func(change func(*backends.Allocation)) backends.Allocation {
		a := failed
		change(&a)
		return a
	}
	rescheduled := []backends.Reschedule{
		{Time: now.Add(-time.Hour), Previous: "11111111-1"}, {Time: now.Add(-time.Minute), Previous: "22222222-2"},
	}
	for name, tc := range map[string]struct {
		a          backends.Allocation
		deployment string
		want       string
	}{
		"running": {with(func(a *backends.Allocation) { a.Status = "running" }), "", ""},
		"later": {
			with(func(a *backends.Allocation) { a.RescheduleAt = now.Add(16 * time.Second) }), "",
			"Replacement|in 16s; policy: unlimited",
		},
		"now": {
			with(func(a *backends.Allocation) { a.RescheduleAt = now.Add(-time.Second) }), "failed",
			"Replacement|now; policy: unlimited",
		},
		"given up": {failed, "", "Replacement|none; policy: unlimited"},
		"deployment failed": {
			failed, "failed", "Replacement|none, because the deployment failed; policy: unlimited",
		},
		"never": {
			with(func(a *backends.Allocation) { a.ID = "b" }), "failed", "Replacement|none; policy: never",
		},
		"system": {with(func(a *backends.Allocation) { a.JobType = "system" }), "", ""},
		"unknown, replace = false": {
			with(func(a *backends.Allocation) { a.Status = "unknown" }), "",
			"Replacement|none while the node is disconnected (disconnect: replace = false)",
		},
		"unknown": {with(func(a *backends.Allocation) { a.ID, a.Status = "b", "unknown" }), "", ""},
		"unknown, replaced by hand": {
			with(func(a *backends.Allocation) { a.Status, a.Next = "unknown", "33333333-3" }), "", "Replaced by|33333333",
		},
		"replaced": {
			with(func(a *backends.Allocation) { a.Next, a.Rescheduled = "33333333-3", rescheduled }), "",
			"Rescheduled|1m ago, replaces allocation 22222222 (attempt 2)\nReplaced by|33333333",
		},
	} {
		view := &infoView{now: now, details: map[string]backends.AllocationDetail{
			"a": {Reschedule: backends.ReschedulePolicy{Unlimited: true}, NoReplace: true}, "b": {},
		}}
		if tc.deployment != "" {
			view.job.LatestDeployment = &backends.Deployment{Status: tc.deployment, Version: 1}
		}
		text := render.NewDetails(render.Style{})
		text.Heading("", "", "", "", "")
		view.writeReplacements(text, tc.a)
		var got []string
		for _, line := range strings.Split(strings.TrimSpace(text.String()), "\n")[1:] {
			cells := strings.SplitN(line, "|", 4)
			got = append(got, strings.TrimSpace(cells[1])+"|"+cells[3])
		}
		if strings.Join(got, "\n") != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// TestInfo_NodeText checks what is shown about the node of an allocation.
func TestInfo_NodeText(t *testing.T) {
	now := time.Unix(100000, 0)
	for _, tc := range []struct {
		node      backends.NodeState
		migrating bool
		want      string
	}{
		{backends.NodeState{Status: "ready"}, false, "node-1"},
		{backends.NodeState{Status: "ready", Ineligible: true}, false, "node-1; not eligible for new allocations"},
		{backends.NodeState{Status: "ready", Ineligible: true, Draining: true}, false, "node-1; draining"},
		{
			backends.NodeState{Status: "ready", Draining: true, DrainDeadline: now.Add(2 * time.Hour)},
			true,
			"node-1; draining (deadline in 2h); Nomad moves the allocation to another node",
		},
		{backends.NodeState{Status: "down", Ineligible: true}, false, "node-1; not eligible for new allocations; down"},
	} {
		view := &infoView{now: now, nodes: map[string]backends.NodeState{"n": tc.node}}
		a := backends.Allocation{Node: "node-1", NodeID: "n", Status: "running"}
		if got := view.nodeText(a, backends.AllocationDetail{Migrating: tc.migrating}); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	view := &infoView{now: now} // the gateway may not read nodes
	a := backends.Allocation{Node: "node-1", NodeID: "n"}
	if got := view.nodeText(a, backends.AllocationDetail{}); got != "node-1" {
		t.Errorf("got %q", got)
	}
}

func TestInfo_CheckText(t *testing.T) {
	long := strings.Repeat("word ", 100)
	for _, tc := range []struct {
		check backends.Check
		want  string
	}{
		{backends.Check{Output: "nomad: tcp ok"}, "nomad: tcp ok"},
		{backends.Check{Output: "a\n\n b\t", StatusCode: 500}, "HTTP 500, a b"},
		{backends.Check{StatusCode: 200}, "HTTP 200"},
		{backends.Check{Output: "<HTML><H1>404 Not\nFound</H1>\n</HTML>", StatusCode: 404}, "HTTP 404, 404 Not Found"},
		{backends.Check{Output: long}, long[:maxCheckColumns-1] + "…"},
	} {
		if got := checkText(tc.check); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestInfo_CheckRequest(t *testing.T) {
	long := strings.Repeat("/", 200)
	for _, tc := range []struct {
		check backends.CheckDefinition
		want  string
	}{
		{backends.CheckDefinition{Type: "tcp", Port: "db"}, "TCP on port db"},
		{backends.CheckDefinition{Type: "tcp"}, "TCP"},
		{
			backends.CheckDefinition{Type: "http", Protocol: "http", Method: "GET", Path: "/ready?x=1\n", Port: "8080"},
			"GET /ready?x=1 on port 8080",
		},
		{
			backends.CheckDefinition{Type: "http", Protocol: "https", Method: "POST", Path: long},
			"HTTPS POST " + long[:maxCheckColumns-1] + "…",
		},
	} {
		if got := checkRequest(tc.check); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// TestInfo_HiddenValues checks that info reports hidden values only if it prints the check or event that has them.
func TestInfo_HiddenValues(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*backends.Check, *backends.CheckDefinition)
		want   bool
	}{
		"nothing":         {func(*backends.Check, *backends.CheckDefinition) {}, false},
		"path":            {func(_ *backends.Check, d *backends.CheckDefinition) { d.Hidden = true }, true},
		"output":          {func(c *backends.Check, _ *backends.CheckDefinition) { c.Hidden = true }, true},
		"not this check":  {func(_ *backends.Check, d *backends.CheckDefinition) { d.Hidden, d.Name = true, "x" }, false},
		"not this task's": {func(c *backends.Check, _ *backends.CheckDefinition) { c.Hidden, c.Task = true, "x" }, false},
	} {
		view := recordedJob(t, "p-check")
		id := view.allocations[0].ID
		detail := view.details[id]
		tc.change(&view.checks[id][0], &detail.Checks[0])
		view.text(testStyle(0))
		if view.hidden != tc.want {
			t.Errorf("%s: got %v, want %v", name, view.hidden, tc.want)
		}
	}
	for _, hidden := range []bool{true, false} {
		view := recordedJob(t, "p-check")
		view.allocations[0].Tasks[0].Events[0].Hidden = hidden
		view.text(testStyle(0))
		if view.hidden != hidden {
			t.Errorf("event: got %v, want %v", view.hidden, hidden)
		}
		view.hidden = false
		if view.json(); view.hidden != hidden {
			t.Errorf("event in JSON: got %v, want %v", view.hidden, hidden)
		}
	}
	view := recordedJob(t, "p-check")
	id := view.allocations[0].ID
	view.details[id].Checks[0].Hidden = true
	defined := view.json().Allocations[0].Checks[0].Defined
	if want := (checkDefinitionOutput{"http", "http", "GET", "/ready", "http"}); !view.hidden || *defined != want {
		t.Errorf("JSON: got %v and %+v, want %+v", view.hidden, *defined, want)
	}
}

// TestInfo_SelectAllocations checks which allocations info JOB shows, and how it counts the others.
func TestInfo_SelectAllocations(t *testing.T) {
	allocation := func(id, status string, change func(*backends.Allocation)) backends.Allocation {
		a := backends.Allocation{ID: id, Name: "j.g[0]", Group: "g", Status: status, JobID: "j", Desired: "run"}
		if change != nil {
			change(&a)
		}
		return a
	}
	replaced := func(a *backends.Allocation) { a.Next = "x" }
	onNode := func(node string) func(*backends.Allocation) {
		return func(a *backends.Allocation) { a.JobType, a.NodeID = "sysbatch", node }
	}
	var many []backends.Allocation
	for i := range maxFinished + 3 {
		many = append(many, allocation(fmt.Sprint(i), "complete", onNode(fmt.Sprint(i))))
	}
	for name, tc := range map[string]struct {
		all  []backends.Allocation
		json bool
		want string
	}{
		"finished ones are left out": {
			[]backends.Allocation{
				allocation("1", "running", nil), allocation("2", "complete", nil), allocation("3", "failed", replaced),
				allocation("4", "failed", nil), allocation("5", "lost", nil), allocation("6", "failed", replaced),
			}, false, "1 4, left out: 1 complete, 2 failed, 1 lost allocations",
		},
		"JSON has replaced ones": {
			[]backends.Allocation{allocation("1", "running", nil), allocation("3", "failed", replaced)}, true, "1 3",
		},
		"the newest of an instance if all are finished": {
			[]backends.Allocation{allocation("1", "complete", nil), allocation("2", "lost", nil)},
			false,
			"1, left out: 1 lost allocation",
		},
		"failed in a stopped job": {
			[]backends.Allocation{allocation("1", "failed", func(a *backends.Allocation) { a.Desired = "stop" })}, false, "1",
		},
		"one on each node": {
			[]backends.Allocation{allocation("1", "complete", onNode("a")), allocation("2", "complete", onNode("b"))},
			false, "1 2",
		},
		"many": {many, false, "0 1 2 3 4 5 6 7 8 9, left out: 3 complete allocations"},
	} {
		view := &infoView{job: backends.JobDetail{Job: backends.Job{ID: "j", Allocations: tc.all}}}
		view.selectAllocations(tc.json)
		var ids []string
		for _, a := range view.allocations {
			ids = append(ids, a.ID)
		}
		got := strings.Join(ids, " ")
		if len(view.leftOut) > 0 {
			got += ", left out: " + view.leftOutText()
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestInfo_UntrustedNames(t *testing.T) {
	const evil = "\x1b[2J\u202e"
	view := recordedJob(t, "p-lifecycle")
	a := &view.allocations[0]
	a.Node, a.DesiredReason, a.Desired, a.Name = evil, evil, "stop", evil
	detail := view.details[a.ID]
	detail.Ports[0].Label, detail.Ports[0].Host, detail.NetworkMode = evil, evil, evil
	for i := range detail.Tasks {
		detail.Tasks[i].Hook = evil
		detail.Tasks[i].Volumes = []backends.VolumeMount{{Name: evil, Type: evil, Source: evil, Destination: evil}}
	}
	detail.Checks = []backends.CheckDefinition{{
		Name: evil, Service: evil, Type: "http", Protocol: evil, Method: evil, Path: evil, Port: evil,
	}}
	view.details[a.ID] = detail
	view.checks = map[string][]backends.Check{a.ID: {{Name: evil, Service: evil, Output: evil, Status: evil}}}
	for _, width := range []int{0, 80} {
		if got := view.text(testStyle(width)); strings.ContainsAny(got, "\x1b\u202e") {
			t.Errorf("got %q", got)
		}
	}
}

func TestInfo_Canaries(t *testing.T) {
	for want, group := range map[string]backends.DeploymentGroup{
		"1 canary promoted":                               {Canaries: 1, Promoted: true},
		"2 canaries promoted":                             {Canaries: 2, Promoted: true, AutoPromote: true},
		"1 canary not promoted":                           {Canaries: 1},
		"2 canaries not promoted":                         {Canaries: 2},
		"2 canaries, promoted automatically when healthy": {Canaries: 2, AutoPromote: true},
	} {
		view := recordedJob(t, "p-crash")
		group.Group = "web"
		view.job.LatestDeployment = &backends.Deployment{Status: "running", Groups: []backends.DeploymentGroup{group}}
		if text := view.text(testStyle(160)); !strings.Contains(text, "unhealthy, "+want+"\n") {
			t.Errorf("want %s, got\n%s", want, text)
		}
	}
}

// TestInfo_PortUsers checks that info names the job's own allocations that use the static port of an unplaced group.
func TestInfo_PortUsers(t *testing.T) {
	v := infoView{details: map[string]backends.AllocationDetail{}}
	add := func(id, status string, ports ...int) {
		v.allocations = append(v.allocations, backends.Allocation{
			ID: id, JobID: "p", Name: "p.web[" + id + "]", Node: "c" + id, Status: status,
		})
		var detail backends.AllocationDetail
		for _, n := range ports {
			detail.Ports = append(detail.Ports, backends.Port{Value: n})
		}
		v.details[id] = detail
	}
	add("0", "running", 80)
	add("1", "failed", 8080)
	add("2", "pending", 443, 8080)
	add("3", "running")
	for i := range maxPortUsers + 1 {
		add(fmt.Sprint(i+4), "running", 9090)
	}
	for _, tc := range []struct{ reason, want string }{
		{"reserved port collision http=8080 on 2 nodes", "Port|8080|used by web[2] on c2"},
		{"reserved port collision a=b=80 on 1 node", "Port|80|used by web[0] on c0"},
		{"reserved port collision http=8081 on 1 node", ""},
		{"not enough memory on 8080 nodes", ""},
		{
			"reserved port collision http=9090 on 1 node",
			"Port|9090|used by web[4] on c4, web[5] on c5, web[6] on c6, web[7] on c7, web[8] on c8, and 1 more",
		},
	} {
		text := render.NewDetails(render.Style{})
		text.Heading("", "", "", "", "")
		v.writePortUsers(text, backends.UnplacedGroup{Group: "web", Reasons: []string{"other", tc.reason}})
		_, line, _ := strings.Cut(strings.TrimSpace(text.String()), "\n")
		var cells []string
		for _, cell := range strings.Split(line, "|")[min(1, strings.Count(line, "|")):] {
			cells = append(cells, strings.TrimSpace(cell))
		}
		if got := strings.Join(cells, "|"); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
		}
	}
}

// TestInfo_LostNotReplaced checks that the job's reasons name the node of an allocation that was lost for good.
func TestInfo_LostNotReplaced(t *testing.T) {
	lost := backends.Allocation{JobID: "p", Name: "p.web[0]", Group: "web", Node: "c2", Status: "lost", Desired: "stop"}
	replacement := lost
	replacement.Status, replacement.Node = "running", "c1"
	unplaced := []backends.UnplacedGroup{{Group: "web", Count: 1}}
	for _, test := range []struct {
		unplaced    []backends.UnplacedGroup
		allocations []backends.Allocation
		want        string
	}{
		{unplaced, []backends.Allocation{lost}, "1 allocation lost with node c2"},
		{unplaced, []backends.Allocation{replacement, lost}, ""},
		{nil, []backends.Allocation{lost}, ""},
	} {
		job := backends.Job{ID: "p", Unplaced: test.unplaced, Allocations: test.allocations}
		v := infoView{job: backends.JobDetail{Job: job}}
		if got := strings.Join(v.lost(), "|"); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
