package nomad

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/backends/backendtest"
	"nomadctld/internal/nomadsim"
	"nomadctld/internal/terminate"
	"nomadctld/internal/testenv/nomadtest"
)

// clusterTask returns a client for the cluster and a task of the first allocation of a job.
func clusterTask(t *testing.T, cluster nomadtest.Cluster, job, name string) (*Client, backends.TaskRef) {
	t.Helper()
	return findTask(t, open(t, Tier{URL: cluster.URL, TokenFile: nomadtest.TokenFile(t)}), job, name)
}

func findTask(t *testing.T, client *Client, job, name string) (*Client, backends.TaskRef) {
	t.Helper()
	jobs, err := client.Jobs(context.Background(), backends.Selection{Prefixes: []string{job}, IncludeHidden: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		if j.ID == job && len(j.Allocations) > 0 {
			return client, backends.TaskRef{Allocation: j.Allocations[0], Task: name}
		}
	}
	t.Fatalf("no allocation of %s", job)
	return nil, backends.TaskRef{}
}

// quickTermination lets programs of a simulated cluster be killed sooner.
var quickTermination = terminate.Intervals{Grace: time.Second, Check: 200 * time.Millisecond}

func TestRuntimeConformance(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			backendtest.Runtime(t, func(t *testing.T) (backends.Runtime, backends.TaskRef) {
				client, in := clusterTask(t, cluster, "p-team3-shell", "box")
				if cluster.Sim != nil {
					client.termination = quickTermination
				}
				return client, in
			}, backendtest.Features{Env: true, Dir: true, Signals: true})
		})
	}
}

// TestRuntimeConformance_FramedStdin uses framed input: in a simulated task with the podman driver, and in a real task
// that would not need it.
func TestRuntimeConformance_FramedStdin(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			job := "p-team3-shell"
			if cluster.Sim != nil {
				job = "p-team3-podman"
				cluster.Sim.AddJob(nomadsim.Job{ID: job, Groups: []nomadsim.Group{{
					Name: "g", Tasks: []nomadsim.Task{{Name: "box", Driver: "podman", Command: []string{"sleep", "3600"}}},
				}}})
			}
			backendtest.Runtime(t, func(t *testing.T) (backends.Runtime, backends.TaskRef) {
				client, in := clusterTask(t, cluster, job, "box")
				in.Driver = "podman"
				if cluster.Sim != nil {
					client.termination = quickTermination
				}
				return client, in
			}, backendtest.Features{Env: true, Dir: true, Signals: true})
		})
	}
}

// TestWrapper_SurvivesGroupSignal runs the wrapper without Nomad, in each installed shell and with both kinds of input.
// If the wrapper exited before the program, the driver would kill the program.
func TestWrapper_SurvivesGroupSignal(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	defer all.Wait()
	for _, argv := range [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(argv[0]); err != nil {
			continue
		}
		for _, driver := range []string{"raw_exec", "podman"} {
			s, err := wrapProgram(backends.Program{Argv: []string{
				"sh", "-c",
				`trap "" TERM; kill -s TERM 0; sleep 0.3; echo after; exit 4`,
			}}, driver)
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				cmd := exec.Command(argv[0], append(slices.Clone(argv[1:]), s.command[1:]...)...)
				cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
				cmd.Stdin = strings.NewReader("0\n")
				out, err := cmd.Output()
				if text := string(out); err != nil || !strings.Contains(text, "after\n") || !strings.HasSuffix(text, ":E4\x02") {
					t.Errorf("%s, %s: got %q, %v", argv[0], driver, text, err)
				}
			})
		}
	}
}
