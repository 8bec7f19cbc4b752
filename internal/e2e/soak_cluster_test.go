package e2e

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	docker "github.com/fsouza/go-dockerclient"
	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/testenv/nomadtest"
)

// soakCluster has two jobs: p-team1-box, whose task is a container, and p-team1-process, whose task is a process. Nomad
// and Docker can restart. They are real if this machine can run them.
type soakCluster struct {
	url, docker   string
	restartNomad  func()
	nomadInterval time.Duration // between restarts of Nomad
	restartDocker func()        // nil for the Docker daemon of the machine, which other programs use
	killContainer func()        // the container is started again
}

// loggingTask is the shell script of both tasks. Process 1 of a container ignores SIGTERM unless it handles it.
const loggingTask = "trap exit TERM; while :; do echo text; sleep 1 & wait $!; done"

func startSoakCluster(t *testing.T) soakCluster {
	t.Helper()
	var c soakCluster
	daemon, err := dockertest.StartPrivate(t)
	if err != nil {
		t.Logf("Docker: the daemon of the machine, which is not restarted (cannot start another: %v)", err)
		c.docker = dockertest.Daemon(t)
	} else {
		t.Log("Docker: a dockerd of this test, which is restarted")
		c.docker, c.restartDocker = daemon.Host, func() { daemon.Restart(t) }
	}
	if nomadtest.Binary() == "" {
		t.Log("Nomad: a simulated cluster that is unreachable for a second at a time;", nomadtest.NoBinary)
		c.simulate(t)
	} else {
		t.Log("Nomad: a real agent, which is restarted:", nomadtest.Binary())
		c.startAgent(t)
	}
	return c
}

// startAgent starts a real agent, which starts a container again if it stops.
func (c *soakCluster) startAgent(t *testing.T) {
	image := dockertest.Image(t)
	agent := nomadtest.StartRestartable(t, c.docker)
	c.url, c.nomadInterval = agent.URL, 20*time.Second
	c.restartNomad = func() { agent.Restart(t) }
	run := func(id, driver string, config map[string]any) {
		task := api.NewTask("box", driver)
		task.Config = config
		task.Resources = &api.Resources{CPU: new(20), MemoryMB: new(64)}
		group := api.NewTaskGroup("g", 1).AddTask(task)
		group.RestartPolicy = &api.RestartPolicy{ // a task that does not start is not given up
			Attempts: new(1000), Interval: new(time.Hour), Delay: new(time.Second), Mode: new("delay"),
		}
		// If Nomad and Docker restart at the same time, Nomad may not find the container again, and the allocation fails.
		group.ReschedulePolicy = &api.ReschedulePolicy{
			Delay: new(5 * time.Second), DelayFunction: new("constant"), Unlimited: new(true),
		}
		job := api.NewServiceJob(id, id, "global", 50).AddTaskGroup(group)
		if _, _, err := agent.Client.Jobs().Register(job, nil); err != nil {
			t.Fatal(err)
		}
	}
	run("p-team1-box", "docker", map[string]any{
		"image": image, "command": "sh", "args": []string{"-c", loggingTask}, "network_mode": "none",
	})
	run("p-team1-process", "raw_exec", map[string]any{"command": "/bin/sh", "args": []string{"-c", loggingTask}})
	testenv.Eventually(t, "the container runs", func() bool {
		all, _, err := agent.Client.Jobs().Allocations("p-team1-box", true, nil)
		return err == nil && len(all) == 1 && all[0].ClientStatus == "running"
	})
	c.killContainer = func() {
		running, err := dockertest.Client(t).ListContainers(docker.ListContainersOptions{
			Filters: map[string][]string{"label": {"com.hashicorp.nomad.alloc_id"}},
		})
		if err != nil {
			t.Error(err)
		}
		for _, container := range running { // none if Nomad is about to start it again
			dockertest.Client(t).KillContainer(docker.KillContainerOptions{ID: container.ID, Signal: docker.SIGKILL})
		}
	}
}

// simulate starts a simulated cluster behind a proxy. The test starts the container again, as Nomad would.
func (c *soakCluster) simulate(t *testing.T) {
	cluster := nomadtest.Simulated(t)
	allocation := newAllocation()
	cluster.Sim.AddJob(boxJob(nomadsim.Task{Name: "box", Driver: "docker"}, allocation))
	container := dockertest.RunTask(t, cluster.Sim, allocation, "box",
		docker.Config{Cmd: []string{"sh", "-c", loggingTask}})
	process := boxJob(nomadsim.Task{
		Name: "box", Driver: "raw_exec", Command: []string{"sh", "-c", loggingTask},
	}, newAllocation())
	process.ID = "p-team1-process"
	cluster.Sim.AddJob(process)

	proxy := newRestartingProxy(t, cluster.URL)
	c.url, c.nomadInterval = "http://"+proxy.address, 7*time.Second
	c.restartNomad = func() { proxy.restart(time.Second) }
	c.killContainer = func() {
		if err := dockertest.Client(t).RestartContainer(container, 0); err != nil {
			t.Error(err)
		}
	}
	if restart := c.restartDocker; restart != nil {
		c.restartDocker = func() { restart(); c.killContainer() }
	}
}

// restartingProxy is the address of a server that can be unreachable for some time, as during a restart.
type restartingProxy struct {
	t       *testing.T
	address string
	target  string

	mu       sync.Mutex
	listener net.Listener          // guarded by mu
	conns    map[net.Conn]struct{} // guarded by mu
}

func newRestartingProxy(t *testing.T, target string) *restartingProxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &restartingProxy{t: t, address: "127.0.0.1:0", target: u.Host, conns: map[net.Conn]struct{}{}}
	p.listen()
	t.Cleanup(p.close)
	return p
}

// listen accepts connections at the address.
func (p *restartingProxy) listen() {
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		p.t.Error(err)
		return
	}
	p.mu.Lock()
	p.listener, p.address = listener, listener.Addr().String()
	p.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.relay(conn)
		}
	}()
}

func (p *restartingProxy) relay(conn net.Conn) {
	defer conn.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns[conn] = struct{}{}
	p.mu.Unlock()
	go func() {
		io.Copy(server, conn)
		server.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(conn, server)
	p.mu.Lock()
	delete(p.conns, conn)
	p.mu.Unlock()
}

// close closes the listener and all connections.
func (p *restartingProxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for conn := range p.conns {
		conn.Close()
	}
}

// restart refuses connections for some time.
func (p *restartingProxy) restart(downtime time.Duration) {
	p.close()
	time.Sleep(downtime)
	p.listen()
}
