package release

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	docker "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/sshfiles"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/testenv/nomadtest"
)

// TestImage builds the Dockerfile without a network, and runs the image as a user other than root, with a read-only
// root file system and with the configuration and keys mounted. It is not parallel, because other tests would time out
// while the compiler runs.
func TestImage(t *testing.T) {
	inRoot(t)
	testenv.NeedSSH(t)
	if host := dockertest.Daemon(t); !strings.HasPrefix(host, "unix://") {
		t.Skipf("the daemon at %s is on another machine", host)
	}
	client := dockertest.Client(t)
	goImageName := goImage(t, client)
	const name = "nomadctld-test/nomadctld:"
	bare, full, tool := name+rand.Text(), name+rand.Text(), name+rand.Text()
	build := func(name string, args ...docker.BuildArg) {
		t.Helper()
		args = append(args, docker.BuildArg{Name: "GO_IMAGE", Value: goImageName},
			docker.BuildArg{Name: "GOPROXY", Value: "file:///proxy"},
			docker.BuildArg{Name: "VERSION", Value: "v1.2.3-test"})
		created := buildImage(t, client, docker.BuildImageOptions{
			Name: name, ContextDir: ".", BuildArgs: args,
			NetworkMode: "none",
		})
		t.Cleanup(func() { removeImages(t, client, append([]string{name}, created...)) })
	}
	build(bare)

	t.Run("without a configuration", func(t *testing.T) {
		code, out := runImage(t, client, docker.Config{Image: bare}, docker.HostConfig{NetworkMode: "none"})
		if code, out := runImage(t, client, docker.Config{Image: bare, Cmd: []string{"health"}},
			docker.HostConfig{NetworkMode: "none"}); code != 1 || strings.Count(out, "\n") != 1 {
			t.Errorf("health: got %d %q, want 1 and one line", code, out)
		}
		for _, want := range []string{
			"no config file", "/etc/nomadctld/nomadctld.toml",
			"docker run -v /etc/nomadctld:/etc/nomadctld:ro", "user 65532",
		} {
			if code != 1 || !strings.Contains(out, want) {
				t.Errorf("got %d %q, want 1 and %q", code, out, want)
			}
		}
	})
	t.Run("files and metadata", func(t *testing.T) {
		image, err := client.InspectImage(bare)
		if err != nil {
			t.Fatal(err)
		}
		if c := image.Config; c.User != "65532:65532" ||
			c.Labels["org.opencontainers.image.version"] != "v1.2.3-test" || c.Healthcheck == nil {
			t.Errorf("got %+v", c)
		}
		code, out := runImage(t, client, docker.Config{Image: bare, Cmd: []string{"version"}},
			docker.HostConfig{NetworkMode: "none"})
		if code != 0 || out != "nomadctld v1.2.3-test\n" {
			t.Errorf("version: got %d %q", code, out)
		}
		files := imageFiles(t, client, bare)
		for _, want := range []string{"usr/local/bin/nomadctld", "etc/ssl/certs/ca-certificates.crt"} {
			if !slices.Contains(files, want) {
				t.Errorf("got no %s in %q", want, files)
			}
		}
		if slices.Contains(files, "usr/local/bin/nomad") || len(files) > 20 { // Docker adds some files
			t.Errorf("got %d files, want few except the binary: %q", len(files), files)
		}
	})
	t.Run("serve", func(t *testing.T) {
		g := serveImage(t, client, bare, "/var/lib/nomadctld")
		g.expectOutput("wim", "p-team1-web", "ps")
		g.cluster.RegisterAndSettle(t, nomadtest.ThreeAllocations("p-team5-volume", "a"))
		// Otherwise the container runs as the user of the test, who cannot write to the volume.
		if os.Geteuid() == 0 {
			g.expectOutput("wim", "", "restart --full -y p-team5-volume")
		}
		g.expectOutput("wim", "inside 3\n", "exec p-team3-shell/shell/box -c 'echo inside $((1+2))'")
		g.expectOutput("wim", "hello from once\n", "tail --stdout p-team3-finished")
		g.expectError("wim", "nomad", "raw production job status p-team1-web")
		testenv.Eventually(t, "the container is healthy", func() bool { return g.state(t).Health.Status == "healthy" })
		if err := client.StopContainer(g.id, 20); err != nil {
			t.Fatal(err)
		}
		if state := g.state(t); state.ExitCode != 0 {
			t.Errorf("got exit code %d after SIGTERM, want 0", state.ExitCode)
		}
		g.config.Cmd = []string{"health"}
		if code, out := runImage(t, client, g.config, g.host); code != 1 ||
			!strings.Contains(out, "connection refused") || strings.Count(out, "\n") != 1 {
			t.Errorf("health of a stopped gateway: got %d %q, want 1 and one line", code, out)
		}
	})
	t.Run("raw with a nomad binary", func(t *testing.T) {
		// The fake nomad prints its arguments and its address.
		const dockerfile = "FROM %s\nRUN printf '#!/bin/sh\\necho \"nomad $* at $NOMAD_ADDR\"\\n' >/bin/nomad && " +
			"chmod 755 /bin/nomad\n"
		created := buildImage(t, client, docker.BuildImageOptions{
			Name: tool, NetworkMode: "none", InputStream: archiveOf(t,
				map[string]string{"Dockerfile": fmt.Sprintf(dockerfile, dockertest.Image(t))}),
		})
		t.Cleanup(func() { removeImages(t, client, append([]string{tool}, created...)) })
		build(full, docker.BuildArg{Name: "NOMAD_IMAGE", Value: tool},
			docker.BuildArg{Name: "BASE_IMAGE", Value: dockertest.Image(t)})
		g := serveImage(t, client, full)
		g.cluster.RegisterAndSettle(t, nomadtest.ThreeAllocations("p-team5-volume", "a"))
		g.expectError("wim", "p-team5-volume was not stopped, because its definition cannot be saved",
			"restart --full -y p-team5-volume")
		g.expectOutput("wim", "job status p-team1-web at unix:///tmp/nomadctld-raw-", "raw production job status p-team1-web")
	})
}

// imageGateway is a container of the image that serves a simulated cluster. wim owns every job.
type imageGateway struct {
	t       *testing.T
	dir     sshfiles.Dir
	cluster nomadtest.Cluster
	client  *docker.Client
	config  docker.Config
	host    docker.HostConfig
	id      string
}

func serveImage(t *testing.T, client *docker.Client, image string, volumes ...string) *imageGateway {
	t.Helper()
	// g.dir is private to the test. The other directory is mounted.
	g := &imageGateway{t: t, dir: sshfiles.Dir(t.TempDir()), cluster: nomadtest.Simulated(t), client: client}
	mounted := sshfiles.Dir(t.TempDir())
	host, err := mounted.NewKey("hostkey")
	if err != nil {
		t.Fatal(err)
	}
	wim, err := g.dir.NewKey("wim")
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	write := func(name, text string) {
		if err := os.WriteFile(mounted.Path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token", nomadtest.Token)
	write("nomadctld.toml", fmt.Sprintf(`
general = { hostkey = "/etc/nomadctld/hostkey", bind = %q, nomadbinary = "/usr/local/bin/nomad" }
audit = { file = "-", jobs = "/var/lib/nomadctld/jobs", required = true }
nomad.production = { url = %q, prefix = ["p-"], token = "/etc/nomadctld/token" }
prefix.all.prefix = ["p-", "raw"]
users.wim = { prefix = ["all"], key = %q }
`, address, g.cluster.URL, sshfiles.AuthorizedKeyLine(wim)))
	if err := g.dir.WriteConfig(address, host, "wim"); err != nil {
		t.Fatal(err)
	}
	g.config = docker.Config{
		Image: image, Healthcheck: &docker.HealthConfig{Interval: 300 * time.Millisecond},
		Volumes: map[string]struct{}{},
	}
	for _, volume := range volumes {
		g.config.Volumes[volume] = struct{}{}
	}
	if os.Geteuid() != 0 {
		g.config.User = strconv.Itoa(os.Geteuid()) // the owner of the files
	} else {
		for _, name := range []string{"", "hostkey", "token", "nomadctld.toml"} {
			if err := os.Chown(mounted.Path(name), 65532, 65532); err != nil {
				t.Fatal(err)
			}
		}
	}
	g.host = docker.HostConfig{
		ReadonlyRootfs: true, NetworkMode: "host", CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"},
		Binds: []string{string(mounted) + ":/etc/nomadctld:ro"}, Tmpfs: map[string]string{"/tmp": ""},
	}
	g.id = dockertest.RunWith(t, "", g.config, &g.host)
	testenv.Eventually(t, "the container listens", func() bool {
		if state := g.state(t); !state.Running {
			t.Fatalf("the container exited with %d: %s", state.ExitCode, containerLog(t, client, g.id))
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return g
}

func (g *imageGateway) state(t *testing.T) docker.State {
	t.Helper()
	container, err := g.client.InspectContainerWithOptions(docker.InspectContainerOptions{ID: g.id})
	if err != nil {
		t.Fatal(err)
	}
	return container.State
}

func (g *imageGateway) ssh(user, line string) (stdout, stderr string, err error) {
	cmd := exec.Command("ssh", "-n", "-F", g.dir.Path("ssh_config"), user, line)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// expectOutput runs a command line, which must succeed with an output that contains want.
func (g *imageGateway) expectOutput(user, want, line string) {
	g.t.Helper()
	if stdout, stderr, err := g.ssh(user, line); err != nil || !strings.Contains(stdout, want) {
		g.t.Errorf("%s: got %q, %q, %v, want %q\n%s", line, stdout, stderr, err, want, containerLog(g.t, g.client, g.id))
	}
}

// expectError runs a command line, which must fail with a message that contains want.
func (g *imageGateway) expectError(user, want, line string) {
	g.t.Helper()
	if stdout, stderr, err := g.ssh(user, line); err == nil || !strings.Contains(stderr, want) {
		g.t.Errorf("%s: got %q, %q, %v, want a failure with %q", line, stdout, stderr, err, want)
	}
}

// runImage runs a container until it exits, and returns its exit code and its output.
func runImage(
	t *testing.T, client *docker.Client, config docker.Config, host docker.HostConfig,
) (code int, out string) {
	t.Helper()
	host.ReadonlyRootfs = true
	id := dockertest.RunWith(t, "", config, &host)
	code, err := client.WaitContainerWithContext(id, t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return code, containerLog(t, client, id)
}

func containerLog(t *testing.T, client *docker.Client, id string) string {
	t.Helper()
	var out bytes.Buffer
	if err := client.Logs(docker.LogsOptions{
		Container: id, OutputStream: &out, ErrorStream: &out, Stdout: true,
		Stderr: true,
	}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// buildImage builds an image and returns the IDs of its layers. If the build fails, the test fails with its output.
func buildImage(t *testing.T, client *docker.Client, options docker.BuildImageOptions) (created []string) {
	t.Helper()
	var out bytes.Buffer
	options.OutputStream, options.RmTmpContainer, options.ForceRmTmpContainer = &out, true, true
	err := client.BuildImage(options)
	for _, match := range regexp.MustCompile(`(?m)^ ---> ([0-9a-f]{12})$`).FindAllStringSubmatch(out.String(), -1) {
		created = append(created, match[1])
	}
	if err != nil {
		removeImages(t, client, created)
		t.Fatalf("build %s: %v\n%s", options.Name, err, out.Bytes()[max(0, out.Len()-3000):])
	}
	return created
}

// removeImages removes images and layers in reverse order. It does not remove images with another name, such as the
// base images of a build.
func removeImages(t *testing.T, client *docker.Client, created []string) {
	t.Helper()
	for _, id := range slices.Backward(created) {
		image, err := client.InspectImage(id)
		if err != nil || len(image.RepoTags) > 0 && !slices.Contains(created, image.RepoTags[0]) {
			continue // already removed, or of another build
		}
		client.RemoveImage(id) // fails if another image is based on it
	}
}

// imageFiles returns the paths of an image's files.
func imageFiles(t *testing.T, client *docker.Client, image string) (files []string) {
	t.Helper()
	container, err := client.CreateContainer(docker.CreateContainerOptions{Config: &docker.Config{Image: image}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dockertest.Remove(t, container.ID) })
	content, exporting := io.Pipe()
	go func() {
		exporting.CloseWithError(client.ExportContainer(docker.ExportContainerOptions{
			ID:           container.ID,
			OutputStream: exporting,
		}))
	}()
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			files = append(files, header.Name)
		}
	}
}

// archiveOf returns a tar archive.
func archiveOf(t *testing.T, files map[string]string) io.Reader {
	t.Helper()
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for name, text := range files {
		w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))})
		io.WriteString(w, text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &packed
}

// freeAddress returns a free address on the loopback interface.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
