// Package dockertest gives tests a real Docker daemon: containers, a busybox image, and TCP and TLS proxies. It owns
// the containers that it starts and removes them after the test. Tests are skipped if there is no Docker daemon.
package dockertest

import (
	"context"
	"maps"
	"os"
	"syscall"
	"testing"
	"time"

	"nomadctld/internal/testenv"

	docker "github.com/fsouza/go-dockerclient"
)

// Daemon returns the address of the daemon: DOCKER_HOST or Docker's default socket. It skips the test if there is none,
// and with -short.
func Daemon(t testing.TB) (host string) {
	t.Helper()
	testenv.E2E(t)
	host, err := findDaemon()
	if err != nil {
		t.Skipf("Docker daemon not available (%v): apt-get install docker.io, start dockerd, or set DOCKER_HOST", err)
	}
	return host
}

// Client returns a client of Daemon, for anything that this package does not provide.
func Client(t testing.TB) *docker.Client {
	t.Helper()
	client, err := docker.NewClient(Daemon(t))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// findDaemon returns the address of the daemon, or an error if it does not respond.
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

// Label is set on every container that Run starts. It finds containers of interrupted tests:
//
//	docker ps --all --filter label=nomadctld-test
const Label = "nomadctld-test"

// Run starts a container of Image and returns its ID. The container is removed after the test.
func Run(t testing.TB, name string, labels map[string]string, cmd ...string) (id string) {
	t.Helper()
	return RunWith(t, name, docker.Config{Labels: labels, Cmd: cmd}, nil)
}

// RunWith is Run with a full configuration. The default image is Image.
func RunWith(t testing.TB, name string, config docker.Config, host *docker.HostConfig) (id string) {
	t.Helper()
	id = create(t, name, config, host)
	start(t, id)
	return id
}

// create creates a container without starting it. It is removed after the test.
func create(t testing.TB, name string, config docker.Config, host *docker.HostConfig) (id string) {
	t.Helper()
	client := Client(t)
	marked := map[string]string{Label: ""}
	maps.Copy(marked, config.Labels)
	config.Labels = marked
	if config.Image == "" {
		config.Image = Image(t)
	}
	options := docker.CreateContainerOptions{Name: name, Config: &config, HostConfig: host}
	container, err := client.CreateContainer(options)
	if err != nil {
		t.Fatalf("container %s: %v", name, err)
	}
	t.Cleanup(func() { Remove(t, container.ID) })
	return container.ID
}

// start starts a container.
func start(t testing.TB, id string) {
	t.Helper()
	if err := Client(t).StartContainer(id, nil); err != nil {
		t.Fatalf("container %s: %v", id, err)
	}
}

// RunToExit is Run for a command that exits. It also returns the exit code.
func RunToExit(t testing.TB, name string, labels map[string]string, cmd ...string) (id string, code int) {
	t.Helper()
	id = Run(t, name, labels, cmd...)
	return id, Wait(t, id)
}

// Wait waits until a container exits and returns its exit code.
func Wait(t testing.TB, id string) (code int) {
	t.Helper()
	code, err := Client(t).WaitContainerWithContext(id, t.Context())
	if err != nil {
		t.Fatalf("container %s does not exit: %v", id, err)
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

// Remove kills and removes a container. It succeeds if the container does not exist.
func Remove(t testing.TB, id string) {
	t.Helper()
	err := Client(t).RemoveContainer(docker.RemoveContainerOptions{ID: id, Force: true, RemoveVolumes: true})
	if _, notFound := err.(*docker.NoSuchContainer); err != nil && !notFound {
		t.Errorf("container %s was not removed: %v", id, err)
	}
}
