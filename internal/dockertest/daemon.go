// Package dockertest gives tests a real Docker daemon, containers in it, and ways to it over TCP and TLS. Tests that
// need one are skipped where there is none, with a line that says what is missing.
package dockertest

import (
	"context"
	"maps"
	"os"
	"syscall"
	"testing"
	"time"

	docker "github.com/fsouza/go-dockerclient"
)

// Daemon returns the address of the daemon: DOCKER_HOST, or Docker's usual socket. The test is skipped if none answers.
func Daemon(t testing.TB) (host string) {
	t.Helper()
	host, err := findDaemon()
	if err != nil {
		t.Skipf("no Docker daemon answers (%v): apt-get install docker.io, start dockerd, or set DOCKER_HOST", err)
	}
	return host
}

// Client returns a client of Daemon, for what this package does not do.
func Client(t testing.TB) *docker.Client {
	t.Helper()
	client, err := docker.NewClient(Daemon(t))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func findDaemon() (string, error) {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	client, err := docker.NewClient(host)
	if err != nil {
		return host, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return host, client.PingWithContext(ctx)
}

// Label is a label of every container that Run makes, to find what an interrupted test left behind:
// docker ps --all --filter label=nomadctld-test
const Label = "nomadctld-test"

// Run starts a container of Image and returns its ID. It is removed with the test, if it is still there.
func Run(t testing.TB, name string, labels map[string]string, cmd ...string) (id string) {
	t.Helper()
	return RunWith(t, name, docker.Config{Labels: labels, Cmd: cmd}, nil)
}

// RunWith is Run for a container that is more special. Without an image it gets Image.
func RunWith(t testing.TB, name string, config docker.Config, host *docker.HostConfig) (id string) {
	t.Helper()
	id = create(t, name, config, host)
	start(t, id)
	return id
}

// create makes a container that is not started yet and is removed with the test.
func create(t testing.TB, name string, config docker.Config, host *docker.HostConfig) (id string) {
	t.Helper()
	client := Client(t)
	marked := map[string]string{Label: ""}
	maps.Copy(marked, config.Labels)
	config.Labels = marked
	if config.Image == "" {
		config.Image = Image(t)
	}
	container, err := client.CreateContainer(docker.CreateContainerOptions{Name: name, Config: &config, HostConfig: host})
	if err != nil {
		t.Fatalf("container %s: %v", name, err)
	}
	t.Cleanup(func() { Remove(t, container.ID) })
	return container.ID
}

func start(t testing.TB, id string) {
	t.Helper()
	if err := Client(t).StartContainer(id, nil); err != nil {
		t.Fatalf("container %s: %v", id, err)
	}
}

// RunToExit is Run with a command that has ended; the exit code is the command's.
func RunToExit(t testing.TB, name string, labels map[string]string, cmd ...string) (id string, code int) {
	t.Helper()
	id = Run(t, name, labels, cmd...)
	return id, Wait(t, id)
}

// Wait waits until a container has exited, and returns its exit code.
func Wait(t testing.TB, id string) (code int) {
	t.Helper()
	code, err := Client(t).WaitContainerWithContext(id, t.Context())
	if err != nil {
		t.Fatalf("container %s does not end: %v", id, err)
	}
	return code
}

// Signal sends a signal to the main process of a container.
func Signal(t testing.TB, id string, signal syscall.Signal) {
	t.Helper()
	if err := Client(t).KillContainer(docker.KillContainerOptions{ID: id, Signal: docker.Signal(signal)}); err != nil {
		t.Fatal(err)
	}
}

// Remove kills and removes a container; one that is gone already is no failure.
func Remove(t testing.TB, id string) {
	t.Helper()
	err := Client(t).RemoveContainer(docker.RemoveContainerOptions{ID: id, Force: true, RemoveVolumes: true})
	if _, gone := err.(*docker.NoSuchContainer); err != nil && !gone {
		t.Errorf("container %s is left behind: %v", id, err)
	}
}
