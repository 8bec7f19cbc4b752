package docker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/tlsfiles"
)

// newAllocation returns a random allocation ID, so that tests do not find each other's containers.
func newAllocation() string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func labels(allocation string) map[string]string {
	return map[string]string{allocationLabel: allocation}
}

func TestInspect_SameAsDockerInspect(t *testing.T) {
	t.Parallel()
	host := dockertest.Daemon(t)
	client := dockertest.Client(t)
	for state, prepare := range map[string]func(name, allocation string) (id string, err error){
		"running": func(name, allocation string) (string, error) {
			return dockertest.Run(t, name, labels(allocation), "sleep", "600"), nil
		},
		"paused": func(name, allocation string) (string, error) {
			id := dockertest.Run(t, name, labels(allocation), "sleep", "600")
			return id, client.PauseContainer(id)
		},
		"exited": func(name, allocation string) (string, error) {
			id, code := dockertest.RunToExit(t, name, labels(allocation), "sh", "-c", "exit 3")
			if code != 3 {
				t.Errorf("exited: code %d, want 3", code)
			}
			return id, nil
		},
		"restarted": func(name, allocation string) (string, error) {
			id := dockertest.Run(t, name, labels(allocation), "sleep", "600")
			return id, client.RestartContainer(id, 0)
		},
		"replaced": func(name, allocation string) (string, error) {
			old, _ := dockertest.RunToExit(t, name, labels(allocation), "false")
			dockertest.Remove(t, old)
			return dockertest.Run(t, name, labels(allocation), "sleep", "600"), nil
		},
	} {
		t.Run(state, func(t *testing.T) {
			allocation := newAllocation()
			id, err := prepare("web_1.x-"+allocation, allocation)
			if err != nil {
				t.Fatal(err)
			}
			got, err := inspect(t, Settings{Host: host}, "web_1.x", allocation)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := compact(t, got), dockerInspect(t, host, id); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// dockerInspect returns the output of docker inspect for a container, without the brackets of the list.
func dockerInspect(t *testing.T, host, id string) string {
	t.Helper()
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("no docker command to compare with: apt-get install docker.io, or docker-cli")
	}
	d := mustOpen(t, Settings{Host: host})
	if _, err := d.Inspect(t.Context(), Node{}, "none", id); !errors.Is(err, ErrNoContainer) {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "docker", "inspect", "--type", "container", id)
	for _, known := range d.daemons {
		command.Env = append(os.Environ(), "DOCKER_API_VERSION="+known.negotiated.Load().version)
	}
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(compact(t, out), "["), "]")
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return b.String()
}

func TestInspect_OtherContainersHidden(t *testing.T) {
	t.Parallel()
	host := dockertest.Daemon(t)
	allocation, other := newAllocation(), newAllocation()
	dockertest.Run(t, "other-"+allocation, labels(other), "sleep", "600")
	dockertest.Run(t, "unlabelled-"+allocation, nil, "sleep", "600")
	dockertest.Run(t, "my-web-"+allocation, labels(allocation), "sleep", "600")
	dockertest.Run(t, "web-"+allocation+"-old", labels(allocation), "sleep", "600")
	dockertest.Run(t, "sidecar-"+allocation, map[string]string{allocationLabel: allocation, taskLabel: "web"},
		"sleep", "600")
	loose := dockertest.Run(t, "loose-", nil, "sleep", "600")
	for _, task := range []string{
		"other", "unlabelled", "web", "we", "", "missing", "..", "../json?", "a/../../b", "%2e%2e", "a b",
		"x?all=1", "x#", "ä", "\xff", "a\nb",
	} {
		found, err := inspect(t, Settings{Host: host}, task, allocation)
		if !errors.Is(err, ErrNoContainer) || found != nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("task %q: got %q and %d bytes, want %q", task, err, len(found), ErrNoContainer)
		}
	}
	for _, allocation := range []string{"", allocation[:8], other, loose} {
		if found, err := inspect(t, Settings{Host: host}, "loose", allocation); !errors.Is(err, ErrNoContainer) {
			t.Errorf("allocation %q: got %v and %d bytes, want %v", allocation, err, len(found), ErrNoContainer)
		}
	}
	_, err := inspect(t, Settings{Host: host}, "web", allocation)
	if want := "task web: container not found"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestInspect_RenamedContainer(t *testing.T) {
	t.Parallel()
	host := dockertest.Daemon(t)
	allocation := newAllocation()
	both := map[string]string{allocationLabel: allocation, taskLabel: "web"}
	client := dockertest.Client(t)
	var newest string
	for _, suffix := range []string{"a", "b", "c"} {
		newest, _ = dockertest.RunToExit(t, "web-"+allocation, both, "true")
		if err := client.RenameContainer(dockerclient.RenameContainerOptions{
			ID:   newest,
			Name: allocation[:8] + suffix,
		}); err != nil {
			t.Fatal(err)
		}
	}
	wantID(t, Settings{Host: host}, "web", allocation, newest)
	newest = dockertest.Run(t, "web-"+allocation, both, "sleep", "600")
	wantID(t, Settings{Host: host}, "web", allocation, newest)
}

func wantID(t *testing.T, s Settings, task, allocation, want string) {
	t.Helper()
	found, err := inspect(t, s, task, allocation)
	if err != nil {
		t.Errorf("%+v: %v", s, err)
		return
	}
	var container struct{ ID string }
	if err := json.Unmarshal(found, &container); err != nil || container.ID != want {
		t.Errorf("%+v: got %q, %v, want %q", s, container.ID, err, want)
	}
}

func TestInspect_AllTransports(t *testing.T) {
	t.Parallel()
	host := dockertest.Daemon(t)
	allocation := newAllocation()
	id := dockertest.Run(t, "web-"+allocation, labels(allocation), "sleep", "600")
	plain := dockertest.ProxyTCP(t, host)
	encrypted, files := dockertest.ProxyTLS(t, host)
	_, port, _ := strings.Cut(plain, ":")
	link := filepath.Join(t.TempDir(), "node-1.sock")
	if u, err := url.Parse(host); err == nil && u.Scheme == "unix" {
		if err := os.Symlink(u.Path, link); err != nil {
			t.Fatal(err)
		}
		wantID(t, Settings{Host: "unix://" + filepath.Dir(link) + "/{node}.sock"}, "web", allocation, id)
	}
	for _, s := range []Settings{
		{Host: host},
		{Host: host, API: "1.41"},
		{Host: "tcp://" + plain},
		{Host: "tcp://{address}:" + port},
		{Host: "tcp://{address}", Port: port},
		{Host: "tcp://" + encrypted, TLS: tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key}},
	} {
		wantID(t, s, "web", allocation, id)
	}
}

func TestPinnedVersion_RealDaemonNegotiates(t *testing.T) {
	t.Parallel()
	host, allocation := dockertest.Daemon(t), newAllocation()
	id := dockertest.Run(t, "web-"+allocation, labels(allocation), "sleep", "600")
	for _, version := range []string{"1.1", "1.24", "1.999"} {
		wantID(t, Settings{Host: host, API: version}, "web", allocation, id)
	}
}

func TestStreams_SameTransport(t *testing.T) {
	t.Parallel()
	addr, files := dockertest.ProxyTLS(t, dockertest.Daemon(t))
	id := dockertest.Run(t, "web-"+newAllocation(), nil, "sleep", "600")
	d := mustOpen(t, Settings{Host: "tcp://" + addr, TLS: tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key}})
	var output bytes.Buffer
	err := d.withClient(t.Context(), Node{Name: "node-1"}, func(ctx context.Context, s *apiClient) error {
		created, err := s.client.CreateExec(dockerclient.CreateExecOptions{
			Context: ctx, Container: id, Cmd: []string{"echo", "hello"}, AttachStdout: true,
		})
		if err != nil {
			return err
		}
		return s.client.StartExec(created.ID, dockerclient.StartExecOptions{Context: ctx, OutputStream: &output})
	})
	if output.String() != "hello\n" || err != nil {
		t.Errorf("got %q, %v", output.String(), err)
	}
}
