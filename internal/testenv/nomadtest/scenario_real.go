package nomadtest

import (
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"
)

// registerScenario registers the jobs of the scenario with a real cluster and waits for their states. port is the
// HTTP port of the cluster, and marker is a file that does not exist yet.
func registerScenario(client *api.Client, marker string, port int) error {
	if _, err := client.Namespaces().Register(&api.Namespace{Name: "other"}, nil); err != nil {
		return err
	}
	sleep := []string{"/bin/sleep", "3600"}
	windows := api.NewConstraint("${attr.kernel.name}", "=", "windows")
	multi := service("default", "p-team1-multi", group("api", 1, task("app", sleep), task("sidecar", sleep)),
		group("pend", 1, task("never", sleep)))
	multi.TaskGroups[1].Constraints = []*api.Constraint{windows}
	fail := service("default", "p-team1-fail",
		withLongHealthyTime(group("fail", 1, task("fail", []string{"/bin/sh", "-c", "exit 3"}))))
	slow := service("default", "p-team1-slow", group("slow", 1, task("slow", sleep)))
	// The deadline leaves too little time to start a process.
	slow.TaskGroups[0].Update.MinHealthyTime = pointer(2999 * time.Millisecond)
	slow.TaskGroups[0].Update.HealthyDeadline = pointer(3 * time.Second)
	slow.TaskGroups[0].Update.ProgressDeadline = pointer(6 * time.Second)
	done := service("default", "p-team1-done", group("done", 1, task("done", []string{"/bin/true"})))
	done.Type = pointer("batch")
	done.TaskGroups[0].Update = nil
	for _, job := range []*api.Job{
		service("default", "p-team1-web", group("web", 2, task("web", sleep))),
		service("other", "p-team1-web", group("web", 1, task("web", sleep))),
		service("default", HostileJobID, group("web", 1, task("web", sleep))),
		service("default", "p-team10-web", group("web", 1, task("web", sleep))),
		service("default", "p-team2-shop", group("web", 1, task("web", sleep))),
		service("default", "q-team2-db", group("web", 1, task("web", sleep))),
		multi, fail, slow, done, movedJob(marker), checkedJob(port), versionsJob(1, "old"),
		periodic("p-team1-cron", &api.PeriodicConfig{Spec: pointer(leapDayCron), TimeZone: pointer(timeZone)}),
		periodic("p-team1-crons", &api.PeriodicConfig{Specs: []string{leapDayCron, otherLeapDayCron}}),
		periodic("p-team1-off", &api.PeriodicConfig{Spec: pointer(leapDayCron), Enabled: pointer(false)}),
		parameterized("p-team1-import", "file"),
		service("default", "p-team3-shell", group("shell", 1, task("box", sleep))),
		service("default", "p-team3-talker", group("talk", 2, task("talk", talkCommand))),
		finishedJob(), crashedJob(),
	} {
		if err := register(client, job); err != nil {
			return err
		}
	}
	if _, _, err := client.Jobs().PeriodicForce("p-team1-cron", nil); err != nil {
		return fmt.Errorf("force p-team1-cron: %w", err)
	}
	_, _, err := client.Jobs().Dispatch("p-team1-import", map[string]string{"file": "a.csv"}, nil, "",
		nil)
	if err != nil {
		return fmt.Errorf("dispatch p-team1-import: %w", err)
	}
	// Registering the next version would cancel the deployment of the first.
	if err := agent.waitUntil(90*time.Second, "the first version is deployed", func() error {
		return checkDeployments(client, map[string]string{"p-team1-versions": "successful"})
	}); err != nil {
		return err
	}
	if err := register(client, versionsJob(2, "new")); err != nil {
		return err
	}
	return agent.waitUntil(90*time.Second, "the jobs are in their states", func() error { return checkState(client) })
}

func register(client *api.Client, job *api.Job) error {
	if _, _, err := client.Jobs().Register(job, nil); err != nil {
		return fmt.Errorf("register %q: %w", *job.ID, err)
	}
	return nil
}
