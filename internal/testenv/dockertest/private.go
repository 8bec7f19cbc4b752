package dockertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	docker "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/testenv"
)

// PrivateDaemon is a dockerd of one test, which can restart without harm to the containers of other tests. It does not
// change the network interfaces of the machine. Its containers have no network.
type PrivateDaemon struct {
	Host string

	dir    string
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has exited
}

// StartPrivate starts a PrivateDaemon and sets DOCKER_HOST to it, so that the functions of this package use it until
// the test ends. It returns an error if this machine cannot run one.
func StartPrivate(t *testing.T) (*PrivateDaemon, error) {
	t.Helper()
	testenv.E2E(t)
	for _, program := range []string{"dockerd", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, err
		}
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("dockerd needs root")
	}
	dir, err := os.MkdirTemp("", "nomadctld-docker-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	d := &PrivateDaemon{Host: "unix://" + filepath.Join(dir, "socket"), dir: dir}
	t.Cleanup(func() {
		d.stop(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("files of the private dockerd: %v", err)
		}
	})
	if err := d.start(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, d.logEnd())
	}
	t.Setenv("DOCKER_HOST", d.Host)
	return d, nil
}

// Restart stops the daemon, and with it all containers, and starts it again. The containers remain stopped.
func (d *PrivateDaemon) Restart(t testing.TB) {
	t.Helper()
	d.stop(t)
	if err := d.start(); err != nil {
		t.Errorf("restart of dockerd: %v\n%s", err, d.logEnd())
	}
}

func (d *PrivateDaemon) logFile() string { return filepath.Join(d.dir, "log") }

// logEnd returns the end of the daemon's log.
func (d *PrivateDaemon) logEnd() []byte {
	log, _ := os.ReadFile(d.logFile())
	return log[max(0, len(log)-2000):]
}

// start starts the daemon and waits until it responds.
func (d *PrivateDaemon) start() error {
	log, err := os.OpenFile(d.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// Without a bridge, dockerd deletes docker0, which belongs to the daemon of the machine. So it runs in a network
	// namespace of its own.
	d.cmd = exec.Command("unshare", "--net", "dockerd", "--host", d.Host, "--data-root", filepath.Join(d.dir, "data"),
		"--exec-root", filepath.Join(d.dir, "exec"), "--pidfile", filepath.Join(d.dir, "pid"),
		"--containerd-namespace", "nomadctld-test",
		"--containerd-plugins-namespace", "nomadctld-test-plugins",
		"--bridge", "none", "--iptables=false", "--ip6tables=false", "--shutdown-timeout", "5")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func(cmd *exec.Cmd) { cmd.Wait(); close(exited) }(d.cmd)
	d.exited = exited
	client, err := docker.NewClient(d.Host)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		err := client.PingWithContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("dockerd exited: %v", d.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("dockerd does not respond: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop stops the daemon as an init system does, and waits until it has exited.
func (d *PrivateDaemon) stop(t testing.TB) {
	t.Helper()
	if d.exited == nil {
		return
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(time.Minute):
		t.Error("dockerd is still running a minute after SIGTERM")
		d.cmd.Process.Kill()
		<-d.exited
	}
}
