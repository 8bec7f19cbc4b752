package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// TestMemory_HostileReader runs the attacks whose clients never read, so that their commands block.
func TestMemory_HostileReader(t *testing.T) { testAttacks(t, false) }

// TestMemory_HostileReaderSoak has the attacks that read, and repeat their commands. They use all processors.
func TestMemory_HostileReaderSoak(t *testing.T) {
	testenv.Soak(t)
	testAttacks(t, true)
}

// testAttacks runs the gateway as a process with 256 MB of memory, and attacks it as a user with read rights. The
// gateway must survive each attack, and commands of another user must work during it.
func testAttacks(t *testing.T, reads bool) {
	testenv.NoRace(t, "measures memory")
	const (
		limit       = 256 << 20
		connections = 20 // with perConn sessions each
		perConn     = 10
	)
	cluster := nomadtest.Simulated(t)
	hostileJobs(cluster.Sim)
	for name, attack := range map[string]struct {
		lines []string // assigned to the sessions in turn
		reads bool     // false: the client never reads the output
	}{
		"patterns": {reads: true, lines: []string{
			"tail --grep " + strings.Repeat("x{1000}", 3000) + " p-team1-box",
			"tail --grep " + strings.Repeat("x{1000}", 2) + " p-team1-box",
			`tail --grep ^(\pL{12})*$ p-team1-box`, "ps " + strings.Repeat("*?", 40_000),
			"logs -n 99999999999999999999 p-team1-box",
		}},
		"an endless line": {lines: []string{
			"logs -n all p-team1-line", "logs --grep x -n all p-team1-line",
			"tail -n all p-team1-line", "logs -n 1 --stdout p-team1-line",
			"logs --grep x -C 100 -n 999999 p-team1-line", "logs --json --highlight x p-team1-line",
		}},
		"logs of many tasks": {lines: []string{
			"tail -n all p-team1-loggers", "logs -n all p-team1-loggers",
			"tail --grep x p-team1-loggers", "logs --grep x -C 100 -n 999999 p-team1-loggers",
			"tail --grep x -C 100 -n 999999 --json p-team1-loggers",
		}},
		"listings": {lines: []string{
			"ps p-team1-many", "ps --json p-team1-many", "pstree p-team1-many",
			"ps -q --all p-team1-many", "batch p-team1",
		}},
		"one job": {lines: []string{
			"status p-team1-many", "status --json p-team1-many", "info p-team1-many",
			"deployment p-team1-many",
		}},
		"definitions": {lines: []string{
			"inspect p-team1-big", "history p-team1-big",
			"history --json p-team1-big", "info p-team1-big",
		}},
		"watching": {lines: []string{"ps --watch p-team1-many", "pstree --watch=1 p-team1-many"}},
		"words": {reads: true, lines: []string{
			"ps '" + strings.Repeat("\\'' '", 20_000) + "'",
			"complete -- ps " + strings.Repeat("x ", 60_000), "exec " + strings.Repeat("é", 60_000),
		}},
	} {
		if attack.reads != reads {
			continue
		}
		t.Run(name, func(t *testing.T) {
			g, memory := startConfinedGateway(t, cluster.URL, limit)
			var attackers sync.WaitGroup
			defer attackers.Wait()
			stop := make(chan struct{})
			stopAttack := sync.OnceFunc(func() { close(stop) })
			defer stopAttack()
			for c := range connections {
				client, err := g.TryDial("wim", "wim")
				if err != nil {
					if c == 0 {
						t.Fatal(err)
					}
					break // the limit of connections
				}
				defer client.Close()
				for s := range perConn {
					line := attack.lines[(c*perConn+s)%len(attack.lines)]
					attackers.Go(func() { hostileSession(client, line, attack.reads, stop) })
				}
			}
			bystander := func(when string) {
				t.Helper()
				for try := 1; ; try++ { // the first may time out if other tests use the processors too
					out, err := g.SSH("ann", "ps p-team1-box").CombinedOutput()
					if err == nil && bytes.Contains(out, []byte("p-team1-box")) {
						return
					}
					if try == 3 || !bytes.Contains(out, []byte("timed out")) {
						t.Errorf("%s the attack: ps of another user: got %v, %s", when, err, out)
						return
					}
				}
			}
			bystander("during")
			// Time for the attack to consume memory.
			const step, stable = 100 * time.Millisecond, 10
			for peak, unchanged := int64(0), 0; unchanged < stable; time.Sleep(step) {
				if now := memory(); now > peak {
					peak, unchanged = now, 0
				} else {
					unchanged++
				}
			}
			bystander("late in")
			stopAttack()
			attackers.Wait()
			bystander("after")
			t.Logf("peak %d MB", memory()>>20)
		})
	}
}

// hostileSession runs a command until it exits or the attack is stopped. If the session is refused, it retries.
func hostileSession(client *ssh.Client, line string, reads bool, stop chan struct{}) {
	for {
		session, err := client.NewSession()
		if err != nil {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				continue
			}
		}
		if reads {
			session.Stdout, session.Stderr = io.Discard, io.Discard
		} else {
			session.StdoutPipe() // never read
			session.StderrPipe()
		}
		_ = session.Start(line) // Wait returns at once if the command was refused
		done := make(chan struct{})
		go func() { session.Wait(); close(done) }()
		select {
		case <-stop:
			session.Close()
			client.Close()
			return
		case <-done:
		}
	}
}

// hostileJobs runs jobs of the largest sizes that a cluster allows.
func hostileJobs(c *nomadsim.Cluster) {
	c.AddJob(boxJob(nomadsim.Task{Name: "box", Driver: "raw_exec", Command: []string{
		"/bin/sh", "-c",
		"while :; do echo text; sleep 1; done",
	}}, newAllocation()))
	c.AddJob(nomadsim.Job{ID: "p-team1-many", Groups: []nomadsim.Group{{Name: "g", Count: 5000}}})
	line := nomadsim.Job{ID: "p-team1-line", Groups: []nomadsim.Group{{
		Name: "g",
		Tasks: []nomadsim.Task{{Name: "t", Driver: "raw_exec", Command: []string{
			"/bin/sh", "-c",
			"head -c 30000000 /dev/zero | tr '\\0' x; head -c 30000000 /dev/zero | tr '\\0' x >&2; exec sleep 3600",
		}}},
	}}}
	c.AddJob(line)
	c.AddJob(nomadsim.Job{ID: "p-team1-loggers", Groups: []nomadsim.Group{{
		Name: "g", Count: 30,
		Tasks: []nomadsim.Task{{Name: "t", Driver: "raw_exec", Command: []string{
			"/bin/sh", "-c",
			"yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx | head -c 3000000; exec sleep 3600",
		}}},
	}}})
	big := nomadsim.Job{ID: "p-team1-big", Groups: []nomadsim.Group{{
		Name:  "g",
		Tasks: []nomadsim.Task{{Name: "t", Driver: "docker", Env: map[string]string{}}},
	}}}
	for version := range 6 {
		for i := range 500 {
			big.Groups[0].Tasks[0].Env[fmt.Sprintf("VARIABLE_%d", i)] = strings.Repeat(strconv.Itoa(version), 4000)
		}
		c.AddJob(big)
	}
}

// startConfinedGateway starts a gateway process with a memory limit. memory returns its peak usage.
func startConfinedGateway(t *testing.T, url string, limit int64) (g *gatewaytest.Gateway, memory func() int64) {
	t.Helper()
	// High limits: the test is about the cost of sessions and logs, not about their number.
	g = gatewaytest.New(t, url, "limits.user = { sessions = 1000, logs = 1000 }\n")
	cmd := exec.Command("nomadctld", "-config", g.ConfigFile())
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%d", limit*8/10))
	group := memoryGroup(t, limit)
	if group != "" {
		cmd = exec.Command("/bin/sh", "-c", `echo $$ > "$0/cgroup.procs" && exec nomadctld -config "$1"`, group,
			g.ConfigFile())
		cmd.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%d", limit*8/10))
	}
	g.StartCommand(t, cmd)
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	memory = func() int64 { return peakMemory(cmd.Process.Pid) }
	g.Stop = func() { cmd.Process.Signal(os.Interrupt); <-exited }
	t.Cleanup(func() {
		if t.Failed() {
			text := g.Log(t)
			t.Logf("the gateway's log ends with %s", text[max(0, len(text)-2000):])
		}
		select {
		case <-exited:
			t.Errorf("the gateway exited: %v", cmd.ProcessState)
		default:
			if used := memory(); used > limit {
				t.Errorf("the gateway used %d MB, the limit is %d MB", used>>20, limit>>20)
			}
			cmd.Process.Kill()
			<-exited
		}
		if group != "" {
			os.Remove(group)
		}
	})
	g.WaitServing(t)
	return g, memory
}

// memoryGroup returns the directory of a new cgroup with the memory limit, or "" if this user cannot create one. The
// test then only checks the peak usage of the process.
func memoryGroup(t *testing.T, limit int64) string {
	name := fmt.Sprintf("nomadctld-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	for root, files := range map[string][]string{
		"/sys/fs/cgroup/memory": {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"}, // version 1
		"/sys/fs/cgroup":        {"memory.max", "memory.swap.max"},
	} {
		group := filepath.Join(root, name)
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(group, files[0])); err != nil {
			os.Remove(group)
			continue
		}
		if err := os.WriteFile(filepath.Join(group, files[0]), []byte(strconv.FormatInt(limit, 10)), 0o644); err != nil {
			os.Remove(group)
			continue
		}
		swap := "0"
		if strings.Contains(files[1], "memsw") {
			swap = strconv.FormatInt(limit, 10)
		}
		os.WriteFile(filepath.Join(group, files[1]), []byte(swap), 0o644) // a kernel without swap accounting has no such file
		return group
	}
	t.Log("cannot create a memory cgroup (needs root); checking the peak usage of the process instead")
	return ""
}

// peakMemory returns the peak memory usage of a process. The usage of its cgroup is not suitable, because it includes
// cached pages of the audit log, which the kernel can reclaim.
func peakMemory(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}
