package dockertest

import (
	"net"
	"testing"

	docker "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/testenv"
)

func TestPrivateDaemon_Restart(t *testing.T) {
	testenv.E2E(t)
	shared, bridge := Daemon(t), hasBridge()
	d, err := StartPrivate(t)
	if err != nil {
		t.Skip(err)
	}
	if d.Host == shared || Daemon(t) != d.Host {
		t.Errorf("got %s, then %s, want another daemon than %s", d.Host, Daemon(t), shared)
	}
	id := Run(t, "box", nil, "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done")
	pid := d.cmd.Process.Pid
	d.Restart(t)
	if d.cmd.Process.Pid == pid {
		t.Errorf("process %d is the same", pid)
	}
	container, err := Client(t).InspectContainerWithOptions(docker.InspectContainerOptions{ID: id})
	if err != nil || container.State.Running {
		t.Fatalf("got %+v, %v, want it stopped", container, err)
	}
	start(t, id)
	if bridge && !hasBridge() {
		t.Error("docker0, which belongs to the other daemon, was deleted")
	}
}

func hasBridge() bool {
	_, err := net.InterfaceByName("docker0")
	return err == nil
}
