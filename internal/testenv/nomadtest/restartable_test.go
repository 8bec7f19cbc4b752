package nomadtest

import (
	"testing"

	"nomadctld/internal/testenv"
)

func TestRestartableAgent_TasksContinue(t *testing.T) {
	testenv.E2E(t)
	if Binary() == "" {
		t.Skip(NoBinary)
	}
	t.Parallel()
	a := StartRestartable(t, dockerHost)
	job := service("default", "p-team1-web", group("web", 1, task("web", []string{"/bin/sleep", "3600"})))
	if err := register(a.Client, job); err != nil {
		t.Fatal(err)
	}
	allocation := func() (id, status string) {
		all, _, err := a.Client.Jobs().Allocations(*job.ID, true, nil)
		if err != nil || len(all) != 1 {
			return "", ""
		}
		return all[0].ID, all[0].ClientStatus
	}
	var before string
	testenv.Eventually(t, "the task runs", func() bool {
		id, status := allocation()
		before = id
		return status == "running"
	})
	process := a.cmd.Process.Pid
	a.Restart(t)
	if a.cmd.Process.Pid == process {
		t.Errorf("process %d is the same", process)
	}
	if id, status := allocation(); id != before || status != "running" {
		t.Errorf("got allocation %q, %s, want %q, running", id, status, before)
	}
}
