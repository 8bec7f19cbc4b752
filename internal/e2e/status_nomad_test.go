package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// TestStatus_PrintsAllOfNomadJobStatus compares the sections of nomad job status with those of status.
func TestStatus_PrintsAllOfNomadJobStatus(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	nomad := nomadtest.Binary()
	if nomad == "" {
		t.Skip(nomadtest.NoBinary)
	}
	for _, cluster := range nomadtest.Clusters(t) {
		g := gatewaytest.Start(t, cluster.URL, "")
		for kind, heading := range map[string]string{
			"scalable": "Latest Deployment", "canary": "Deployed", "rescheduled": "Future Rescheduling Attempts",
			"elsewhere": "Placement Failure", "crashed": "Allocations", "system": "Allocations", "groups": "Summary",
			"periodic": "Previously Launched Jobs", "parameterized": "Dispatched Jobs", "actions": "Actions",
		} {
			t.Run(cluster.Kind+" "+kind, func(t *testing.T) {
				t.Parallel()
				if kind == "actions" && cluster.Sim != nil {
					t.Skip("the simulation has no actions")
				}
				id := "p-team5-status-" + kind
				registerForStatus(t, cluster, kind, id)
				var missing []string
				t.Cleanup(func() {
					if len(missing) > 0 {
						t.Errorf("status does not print %q", missing)
					}
				})
				testenv.Eventually(t, "both print "+heading, func() bool {
					cmd := exec.CommandContext(t.Context(), nomad, "job", "status", id)
					cmd.Env = append(os.Environ(), "NOMAD_ADDR="+cluster.URL, "NOMAD_TOKEN="+nomadtest.Token)
					output, err := cmd.Output()
					code, status, stderr := g.Run("wim", "status "+id)
					if err != nil || code != 0 {
						t.Fatalf("nomad job status: %v; status: %d %s", err, code, stderr)
					}
					nomadSections := sectionsOf(string(output))
					missing = missingLines(nomadSections, sectionsOf(status))
					return nomadSections[heading] != nil && len(missing) == 0
				})
			})
		}
	}
}

// registerForStatus registers a job with every section that its kind can have.
func registerForStatus(t *testing.T, cluster nomadtest.Cluster, kind, id string) {
	t.Helper()
	switch kind {
	case "canary":
		registerAndSettle(t, cluster, kind, id, "a")
		registerAndSettle(t, cluster, kind, id, "b")
	case "rescheduled":
		job := scriptJobs[kind](id, "a")
		job.TaskGroups[0].Tasks[0].Config = map[string]any{"command": "/bin/false"}
		cluster.Register(t, job)
	case "elsewhere":
		registerAndSettle(t, cluster, kind, id, "dc9")
	case "actions":
		job := scriptJobs["scalable"](id, "a")
		job.TaskGroups[0].Tasks[0].Actions = []*api.Action{{Name: "hello", Command: "/bin/echo"}}
		cluster.RegisterAndSettle(t, job)
	case "periodic":
		client := registerAndSettle(t, cluster, kind, id, "a")
		if _, _, err := client.Jobs().PeriodicForce(id, nil); err != nil {
			t.Fatal(err)
		}
	case "parameterized":
		job := scriptJobs[kind](id, "a")
		job.ParameterizedJob.Payload = "optional" // Nomad's default, which the simulation does not add
		client := cluster.RegisterAndSettle(t, job)
		if _, _, err := client.Jobs().Dispatch(id, map[string]string{"file": "x"}, nil, "", nil); err != nil {
			t.Fatal(err)
		}
	default:
		registerAndSettle(t, cluster, kind, id, "a")
	}
}

var (
	relativeTime = regexp.MustCompile(`[0-9dhms]+ (ago|from now)`)
	gaps         = regexp.MustCompile(` {2,}`)
)

// sectionsOf returns the lines of each section, by heading. Cells are separated by two spaces and relative times are
// replaced, so that lines can be compared.
func sectionsOf(text string) map[string][]string {
	sections := map[string][]string{}
	for i, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		lines := strings.Split(block, "\n")
		heading := "" // of the facts
		if i > 0 {
			heading, lines = lines[0], lines[1:]
		}
		for _, line := range lines {
			line = gaps.ReplaceAllString(relativeTime.ReplaceAllString(strings.TrimSpace(line), "TIME"), "  ")
			sections[heading] = append(sections[heading], strings.ReplaceAll(line, "  =", " ="))
		}
	}
	return sections
}

// missingLines returns the lines of nomad job status that status does not print. Lines of status may be longer.
func missingLines(nomad, status map[string][]string) (missing []string) {
	for heading, lines := range nomad {
		switch heading {
		case "Placement Failure": // status has other words for the reasons
			lines = lines[:1]
		case "Future Rescheduling Attempts": // status has a line for each allocation instead of each group
			lines = []string{"Task Group"}
		case "Allocations": // the name of the node instead of its ID
			lines = withoutSecondCell(lines)
		}
		have := status[heading]
		if heading == "Allocations" {
			have = withoutSecondCell(have)
		}
		for _, line := range lines {
			if !slices.ContainsFunc(have, func(h string) bool { return strings.HasPrefix(h, line) }) {
				missing = append(missing, heading+": "+line)
			}
		}
	}
	return missing
}

func withoutSecondCell(lines []string) (all []string) {
	for _, line := range lines {
		cells := strings.Split(line, "  ")
		if len(cells) > 2 {
			cells = slices.Delete(cells, 1, 2)
		}
		all = append(all, strings.Join(cells, "  "))
	}
	return all
}
