package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
)

var soakJobs = []string{"p-team1-box", "p-team1-process"}

var soakTime = flag.Duration("soaktime", 10*time.Minute, "duration of TestMixedLoad_UsageReturnsSoak")

// TestMixedLoad_UsageReturnsSoak runs commands of all kinds through Docker and Nomad while clients disconnect, the
// configuration is reloaded, Nomad and Docker restart, and the container of the task is killed. Commands may fail. But
// a program's own exit code must come with all of its output, every command must work again at the end, and the
// gateway's usage must return to its value before.
func TestMixedLoad_UsageReturnsSoak(t *testing.T) {
	testenv.Soak(t)
	c := startSoakCluster(t)
	g, usage := startMeasured(t, c.url, fmt.Sprintf("docker.host = %q\n%s", c.docker, manyCommands))
	config := testenv.ReadFile(t, g.ConfigFile())
	m := &mixedLoad{g: g, outcomes: map[string]int{}}
	var nomadRestarts, dockerRestarts atomic.Int64

	round := func(d time.Duration) {
		ctx, stop := context.WithTimeout(t.Context(), d)
		defer stop()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for ctx.Err() == nil {
					m.runOne(t)
				}
			})
		}
		every := func(interval time.Duration, action func(i int)) {
			all.Go(func() {
				tick := time.NewTicker(interval)
				defer tick.Stop()
				for i := 0; ; i++ {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
						action(i)
					}
				}
			})
		}
		variants := []string{
			strings.Replace(config, "prefix.team1.prefix = [", `prefix.team1.prefix = ["p-team2-", `, 1),
			config + "limits.user.logs = 30\n",
			config[:len(config)/2], // refused
			config,
		}
		every(2*time.Second, func(i int) {
			temp := g.ConfigFile() + ".new"
			if err := errors.Join(os.WriteFile(temp, []byte(variants[i%len(variants)]), 0o600),
				os.Rename(temp, g.ConfigFile()), g.Process.Process.Signal(syscall.SIGHUP)); err != nil {
				t.Error(err)
			}
		})
		every(c.nomadInterval, func(int) { c.restartNomad(); nomadRestarts.Add(1) })
		every(10*time.Second, func(i int) {
			if c.restartDocker != nil && i%5 == 2 {
				c.restartDocker()
				dockerRestarts.Add(1)
			} else {
				c.killContainer()
			}
		})
		all.Wait()
		g.WriteConfig(t, config)
		sendSignal(t, g, syscall.SIGHUP)
	}
	before := usage()
	t.Cleanup(func() {
		for _, job := range soakJobs {
			if _, stdout, stderr := g.Run("ann", "info "+job); t.Failed() {
				t.Log(stdout + stderr)
			}
		}
	})
	round(*soakTime)
	for _, job := range soakJobs {
		testenv.Eventually(t, "exec works in "+job, func() bool { return m.exec(t, job) == "exit code of the program" })
	}
	waitForIdle(t, before, usage)
	reloads := strings.Count(testenv.ReadFile(t, g.Dir.Path("audit")), `"event":"reload"`)
	if reloads == 0 {
		t.Error("the configuration was never reloaded")
	}
	t.Logf("%d commands, %d reloads, %d restarts of Nomad, %d of dockerd; exec: %v", m.commands.Load(), reloads,
		nomadRestarts.Load(), dockerRestarts.Load(), m.outcomes)
}

// mixedLoad runs random commands.
type mixedLoad struct {
	g        *gatewaytest.Gateway
	commands atomic.Int64

	mu       sync.Mutex
	outcomes map[string]int // of exec; guarded by mu
}

// runOne runs a command to its end, or disconnects within its first second.
func (m *mixedLoad) runOne(t *testing.T) {
	m.commands.Add(1)
	job := soakJobs[rand.N(len(soakJobs))]
	if rand.N(3) == 0 {
		outcome := m.exec(t, job)
		m.mu.Lock()
		m.outcomes[outcome]++
		m.mu.Unlock()
		return
	}
	client, err := m.g.TryDial("ann", "ann")
	if err != nil {
		t.Errorf("login: %v", err)
		return
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Error(err)
		return
	}
	endless := []string{"tail " + job, "ps --watch 1", "exec " + job + " sleep 600", "exec " + job + " cat"}
	short := []string{"ps", "status " + job, "info " + job + "/g[0]", "logs -n 5 " + job, "nosuch", "inspect " + job}
	if rand.N(2) == 0 {
		session.Run(short[rand.N(len(short))])
		return
	}
	if rand.N(2) == 0 {
		session.RequestPty("xterm", 24, 80, nil)
	}
	session.StdinPipe() // stays open
	session.Start(endless[rand.N(len(endless))])
	time.Sleep(rand.N(time.Second))
}

// exec runs a program and returns how that ended. It reports an error if the program's exit code came without all of
// its output, or if the gateway's exit code came without a reason.
func (m *mixedLoad) exec(t *testing.T, job string) (outcome string) {
	client, err := m.g.TryDial("ann", "ann")
	if err != nil {
		t.Errorf("login: %v", err)
		return "no login"
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Error(err)
		return "no session"
	}
	const size, code = 100_000, 42
	input := bytes.Repeat([]byte("0123456789"), size/10)
	var stdout, stderr bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = bytes.NewReader(input), &stdout, &stderr
	err = session.Run(fmt.Sprintf("exec %s sh -c 'cat; exit %d'", job, code))
	var exit *ssh.ExitError
	switch {
	case !errors.As(err, &exit):
		t.Errorf("exec in %s: got %v, want an exit code", job, err)
		return "no exit code"
	case exit.ExitStatus() == code:
		if !bytes.Equal(stdout.Bytes(), input) {
			t.Errorf("exec in %s: got the program's exit code with %d of %d bytes", job, stdout.Len(), size)
		}
		return "exit code of the program"
	case exit.ExitStatus() == 137: // the container was restarted
		return "killed"
	case stderr.Len() == 0:
		t.Errorf("exec in %s: got exit code %d without a reason", job, exit.ExitStatus())
		return "no reason"
	}
	return fmt.Sprintf("exit code %d of the gateway", exit.ExitStatus())
}
