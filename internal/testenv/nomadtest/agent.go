package nomadtest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Binary returns the path of a nomad binary, or "". With -short, it returns "".
func Binary() string {
	if testing.Short() {
		return ""
	}
	if path := os.Getenv("NOMADCTLD_TEST_NOMAD"); path != "" {
		return path
	}
	path, _ := exec.LookPath("nomad")
	return path
}

// agentProcess is a real Nomad agent: a server and a client agent in one process.
type agentProcess struct {
	URL    string
	Client *api.Client // with the management token
	dir    string
	port   int // HTTP

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has exited
}

// agent is the agent of all tests of a process.
var agent struct {
	agentProcess
	once sync.Once
	err  error
}

// realAgentURL returns the URL of a development agent with the jobs of the scenario. The first call starts it.
func realAgentURL(t testing.TB, binary string) string {
	t.Helper()
	agent.once.Do(func() {
		agent.err = agent.configure(dockerHost, "")
		if agent.err == nil {
			agent.err = agent.start(binary, "-dev", "-bind=127.0.0.1")
		}
		if agent.err == nil {
			agent.err = agent.bootstrap()
		}
		if agent.err == nil {
			agent.err = registerScenario(agent.Client, filepath.Join(agent.dir, "moved"), agent.port)
		}
	})
	if agent.err != nil {
		t.Fatal(agent.describe(agent.err))
	}
	return agent.URL
}

// StopAgent stops the agent and its tasks, if it was started. Call it at the end of TestMain.
func StopAgent() {
	agent.stop(syscall.SIGINT)
	os.RemoveAll(agent.dir)
}

// dockerHost is the default of Nomad's docker driver.
const dockerHost = "unix:///var/run/docker.sock"

// configure writes the configuration of an agent whose docker driver uses a daemon. extra is added to it.
func (a *agentProcess) configure(docker, extra string) error {
	dir, err := os.MkdirTemp("", "nomadctld-nomad-")
	if err != nil {
		return err
	}
	a.dir = dir
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	settings := fmt.Sprintf(`
bind_addr = "127.0.0.1"
name = "node-1"
data_dir = %q
disable_update_check = true
ports {
  http = %d
  rpc = %d
  serf = %d
}
acl {
  enabled = true
}
limits {
  http_max_conns_per_client = %d
}
client {
  network_interface = "lo"
  # Above this number, the client agent deletes the logs of finished tasks.
  gc_max_allocs     = 1000
  options = {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
  }
}
plugin "raw_exec" {
  config {
    enabled = true
  }
}
# The driver would remove the containers of other tests as dangling, and the image that they use.
plugin "docker" {
  config {
    endpoint = %q
    gc {
      image = false
      dangling_containers {
        enabled = false
      }
    }
  }
}
%s`, filepath.Join(dir, "data"), ports[0], ports[1], ports[2], maxConnections, docker, extra)
	if err := os.WriteFile(a.configFile(), []byte(settings), 0o600); err != nil {
		return err
	}
	a.port, a.URL = ports[0], fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	a.Client, err = api.NewClient(&api.Config{
		Address: a.URL, SecretID: Token, HttpClient: &http.Client{Timeout: 10 * time.Second},
	})
	return err
}

func (a *agentProcess) configFile() string { return filepath.Join(a.dir, "agent.hcl") }

// describe adds the end of the agent's log to an error.
func (a *agentProcess) describe(err error) string {
	log, _ := os.ReadFile(filepath.Join(a.dir, "log"))
	return fmt.Sprintf("nomad agent: %v\n%s", err, log[max(0, len(log)-4000):])
}

// start starts the process.
func (a *agentProcess) start(binary string, flags ...string) error {
	log, err := os.OpenFile(filepath.Join(a.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(binary, append([]string{"agent", "-log-level=WARN", "-config=" + a.configFile()}, flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + a.dir}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	a.cmd, a.exited = cmd, exited
	return nil
}

// stop stops the process, if it was started, and waits for it.
func (a *agentProcess) stop(signal os.Signal) {
	if a.cmd == nil {
		return
	}
	a.cmd.Process.Signal(signal)
	select {
	case <-a.exited:
	case <-time.After(20 * time.Second):
		a.cmd.Process.Kill()
		<-a.exited
	}
}

// bootstrap creates the management token of a new cluster and waits for the node.
func (a *agentProcess) bootstrap() error {
	if err := a.waitUntil(30*time.Second, "the agent is ready", func() error {
		_, _, err := a.Client.ACLTokens().BootstrapOpts(Token, nil)
		return err
	}); err != nil {
		return err
	}
	return a.waitForNode()
}

// waitForNode waits until the cluster has a leader and the node is ready.
func (a *agentProcess) waitForNode() error {
	return a.waitUntil(30*time.Second, "the node is ready", func() error {
		nodes, _, err := a.Client.Nodes().List(nil)
		if err == nil && (len(nodes) != 1 || nodes[0].Status != "ready") {
			err = fmt.Errorf("%d nodes", len(nodes))
		}
		return err
	})
}

// freePorts returns n unused ports.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // after all ports are chosen, so that they differ
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// waitUntil calls check until it returns nil. It returns an error after d, or when the agent has exited.
func (a *agentProcess) waitUntil(d time.Duration, condition string, check func() error) error {
	for end := time.Now().Add(d); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-a.exited:
			return fmt.Errorf("the agent exited before %s: %w", condition, err)
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("timed out waiting until %s: %w", condition, err)
		}
	}
}
