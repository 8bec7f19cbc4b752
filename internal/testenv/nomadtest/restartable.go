package nomadtest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// RestartableAgent is a real Nomad agent of one test. Unlike a development agent, it saves its state, and its tasks
// continue to run while it restarts.
type RestartableAgent struct{ agentProcess }

// StartRestartable starts a RestartableAgent whose docker driver uses a daemon. There must be a Binary. After the
// test, it is stopped with its tasks.
func StartRestartable(t testing.TB, docker string) *RestartableAgent {
	t.Helper()
	a := new(RestartableAgent)
	if err := a.configure(docker, `
advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}
server {
  enabled          = true
  bootstrap_expect = 1
}
client {
  enabled = true
}
`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.stop(syscall.SIGTERM)
		if err := os.RemoveAll(a.dir); err != nil {
			t.Error(err)
		}
	})
	if err := a.start(Binary()); err != nil {
		t.Fatal(err)
	}
	if err := a.bootstrap(); err != nil {
		t.Fatal(a.describe(err))
	}
	t.Cleanup(func() {
		if err := a.stopTasks(); err != nil {
			t.Error(a.describe(err))
		}
	})
	return a
}

// Restart stops the agent, starts it again, and waits until its node is ready.
func (a *RestartableAgent) Restart(t testing.TB) {
	t.Helper()
	a.stop(syscall.SIGTERM)
	err := a.start(a.cmd.Path)
	if err == nil {
		err = a.waitForNode()
	}
	if err != nil {
		t.Error(a.describe(err))
	}
}

// stopTasks purges all jobs, and waits until the client agent has deleted the directories of their allocations. These
// contain mounts.
func (a *RestartableAgent) stopTasks() error {
	jobs, _, err := a.Client.Jobs().List(allNamespaces)
	if err != nil {
		return err
	}
	for _, job := range jobs {
		if _, _, err := a.Client.Jobs().Deregister(job.ID, true, &api.WriteOptions{Namespace: job.Namespace}); err != nil {
			return err
		}
	}
	return a.waitUntil(time.Minute, "the allocations are deleted", func() error {
		if err := a.Client.System().GarbageCollect(); err != nil {
			return err
		}
		left, err := filepath.Glob(filepath.Join(a.dir, "data", "alloc", "*", "*"))
		if len(left) > 0 {
			err = fmt.Errorf("%s still exists", left[0])
		}
		return err
	})
}
