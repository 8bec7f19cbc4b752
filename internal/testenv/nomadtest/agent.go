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

var agent struct {
	once    sync.Once
	url     string
	err     error
	process *os.Process
	dir     string
	exited  chan struct{}
}

// realAgentURL returns the URL of a development agent with the jobs of the scenario. The first call starts it.
func realAgentURL(t testing.TB, binary string) string {
	t.Helper()
	agent.once.Do(func() { agent.err = startAgent(t, binary) })
	if agent.err != nil {
		log, _ := os.ReadFile(filepath.Join(agent.dir, "log"))
		t.Fatalf("nomad agent: %v\n%s", agent.err, log[max(0, len(log)-4000):])
	}
	return agent.url
}

// StopAgent stops the agent and its tasks, if it was started. Call it at the end of TestMain.
func StopAgent() {
	if agent.process == nil {
		return
	}
	agent.process.Signal(syscall.SIGINT)
	select {
	case <-agent.exited:
	case <-time.After(20 * time.Second):
		agent.process.Kill()
		<-agent.exited
	}
	os.RemoveAll(agent.dir)
}

func startAgent(t testing.TB, binary string) error {
	dir, err := os.MkdirTemp("", "nomadctld-nomad-")
	if err != nil {
		return err
	}
	agent.dir = dir
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
# The driver would remove the containers of other tests as dangling.
plugin "docker" {
  config {
    gc {
      dangling_containers {
        enabled = false
      }
    }
  }
}
`, filepath.Join(dir, "data"), ports[0], ports[1], ports[2], maxConnections)
	if err := os.WriteFile(filepath.Join(dir, "agent.hcl"), []byte(settings), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(binary, "agent", "-dev", "-log-level=WARN", "-bind=127.0.0.1",
		"-config="+filepath.Join(dir, "agent.hcl"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	if err := cmd.Start(); err != nil {
		return err
	}
	agent.process, agent.exited = cmd.Process, make(chan struct{})
	go func() { cmd.Wait(); close(agent.exited) }()
	agent.url = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	client, err := api.NewClient(&api.Config{
		Address: agent.url, SecretID: Token, HttpClient: &http.Client{Timeout: 10 * time.Second},
	})
	if err != nil {
		return err
	}
	if err := waitUntil(30*time.Second, "the agent is ready", func() error {
		_, _, err := client.ACLTokens().BootstrapOpts(Token, nil)
		return err
	}); err != nil {
		return err
	}
	if err := waitUntil(30*time.Second, "the node is ready", func() error {
		nodes, _, err := client.Nodes().List(nil)
		if err == nil && (len(nodes) != 1 || nodes[0].Status != "ready") {
			err = fmt.Errorf("%d nodes", len(nodes))
		}
		return err
	}); err != nil {
		return err
	}
	return registerScenario(client, filepath.Join(dir, "moved"), ports[0])
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
func waitUntil(d time.Duration, condition string, check func() error) error {
	for end := time.Now().Add(d); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-agent.exited:
			return fmt.Errorf("the agent exited before %s: %w", condition, err)
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("timed out waiting until %s: %w", condition, err)
		}
	}
}
