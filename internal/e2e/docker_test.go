package e2e

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	docker "github.com/fsouza/go-dockerclient"
	"github.com/rogpeppe/go-internal/testscript"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/testenv/nomadtest"
)

// TestDockerScripts runs testdata/docker, with real containers for the tasks of a simulated cluster.
func TestDockerScripts(t *testing.T) {
	t.Parallel()
	host := dockertest.Daemon(t)
	cluster := nomadtest.Simulated(t)
	var (
		running = newAllocation()
		stopped = newAllocation()
		talking = newAllocation() // writes in turn to both outputs
		typed   = newAllocation() // a shell with a terminal
		lines   = newAllocation() // reads lines without a terminal
	)
	tasks := []nomadsim.Task{{Name: "box", Driver: "docker"}}
	for id, allocation := range map[string]nomadsim.Allocation{
		"p-team1-box":  {ID: running, Node: "node-1"},
		"p-team1-off":  {ID: stopped, Node: "node-1", ClientStatus: "complete"},
		"p-team1-gone": {Node: "node-1"},
		"p-team2-box":  {Node: "node-1"},
		"p-team1-talk": {ID: talking, Node: "node-1"},
		"p-team1-keys": {ID: typed, Node: "node-1"},
		"p-team1-line": {ID: lines, Node: "node-1"},
	} {
		cluster.Sim.AddJob(nomadsim.Job{ID: id, Groups: []nomadsim.Group{{
			Name: "g", Tasks: tasks,
			Allocations: []nomadsim.Allocation{allocation},
		}}})
	}
	start := func(allocation string, config docker.Config) (container string) {
		return dockertest.RunTask(t, cluster.Sim, allocation, "box", config)
	}
	start(running, docker.Config{Cmd: []string{"sleep", "600"}})
	dockertest.Wait(t, start(stopped, docker.Config{Cmd: []string{"false"}}))
	start(talking, docker.Config{Cmd: []string{
		"sh", "-c",
		"for i in 1 2 3; do echo out $i; sleep 0.01; echo err $i >&2; sleep 0.01; done; while sleep 1; do echo on; done",
	}})
	start(typed, docker.Config{Cmd: []string{"sh"}, OpenStdin: true, Tty: true})
	start(lines, docker.Config{
		Cmd: []string{"sh", "-c", `while read -r x; do echo "<$x>"; done; echo end; exit 3`}, OpenStdin: true,
	})
	params := scriptParams("../../testdata/docker", "sim", func(*testscript.Env) (nomadtest.Cluster, error) {
		return cluster, nil
	})
	setUp := params.Setup
	params.Setup = func(env *testscript.Env) error {
		env.Setenv("RUNNING", running)
		env.Setenv("STOPPED", stopped)
		env.Setenv("DOCKER", host)
		env.Setenv("DOCKER_READONLY", readOnlyDocker(t, host))
		return setUp(env)
	}
	testscript.Run(t, params)
}

// readOnlyDocker is a proxy for a daemon that refuses changes, like docker-socket-proxy with POST=0.
func readOnlyDocker(t *testing.T, host string) string {
	target, err := url.Parse(host)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker" },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, target.Scheme, target.Host+target.Path)
		}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "Forbidden by the proxy", http.StatusForbidden)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
