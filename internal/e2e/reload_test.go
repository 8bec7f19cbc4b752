package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// It is not parallel, because it counts the goroutines of this process.
func TestReload_UnderLoad(t *testing.T) { testReloads(t, 40) }

func TestReload_UnderLoadSoak(t *testing.T) {
	testenv.Soak(t)
	testReloads(t, 1000)
}

// testReloads reloads different configurations while users log in and run commands. No command of a user who is in all
// of them may fail, and goroutines and open files must not add up.
func testReloads(t *testing.T, reloads int) {
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "limits.user.connections = 50")
	text := testenv.ReadFile(t, g.ConfigFile())
	token := g.Dir.Path("token2")
	if err := os.WriteFile(token, []byte(nomadtest.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("%q is not in the configuration", old)
		}
		return strings.Replace(text, old, new, 1)
	}
	variants := []string{
		text,
		replace("users.ann", "users.eve"),
		replace(g.Dir.Path("token")+`"`, token+`"`),
		replace("prefix.team1.prefix = [", `prefix.team1.prefix = ["p-team2-", `),
		text + "\nlimits.user.logs = 30\nlimits.maxstartups = \"5:30:50\"\ndocker.exec = \"nomad\"\n",
		text + "\nnomad.quality = { url = \"http://127.0.0.1:1\", prefix = [\"q-\"] }\n",
		text[:len(text)/2], // refused
	}
	watching, watchStderr := startWatch(t, g, "wim") // runs all the time
	ended := make(chan error, 1)
	go func() { ended <- watching.Wait() }()
	var failed, commands atomic.Int32
	round := func(reloads int) {
		ctx, stop := context.WithCancel(t.Context())
		var users sync.WaitGroup
		for i := range 6 {
			users.Go(func() {
				for ctx.Err() == nil {
					if err := oneLogin(ctx, g, i); err != nil {
						failed.Add(1)
						t.Errorf("a command of wim failed: %v", err)
						return
					}
					commands.Add(1)
				}
			})
		}
		for i := range reloads {
			temp := g.ConfigFile() + ".new"
			if err := os.WriteFile(temp, []byte(variants[i%len(variants)]), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(temp, g.ConfigFile()); err != nil {
				t.Fatal(err)
			}
			_, err := g.Serving.Reload("test")
			if refused := i%len(variants) == len(variants)-1; (err != nil) != refused {
				t.Errorf("reload %d: got %v, want an error: %v", i, err, refused)
			}
		}
		stop()
		users.Wait()
	}
	round(len(variants)) // creates the resources that are reused
	goroutines, files := waitForUsage(t, 0, 0)
	round(reloads)
	select {
	case err := <-ended:
		t.Errorf("a command of wim was stopped: %v, %s", err, watchStderr)
	default:
	}
	const idle = 100 // as in testPathLeaks
	n, f := waitForUsage(t, goroutines+idle, files+idle)
	report := fmt.Sprintf("%d reloads, %d logins with commands, %d failed; %d goroutines and %d open files before, "+
		"%d and %d after", reloads, commands.Load(), failed.Load(), goroutines, files, n, f)
	if n > goroutines+idle || f > files+idle {
		t.Error(report)
	}
	t.Log(report)
}

// oneLogin logs wim in, and runs a few commands on one connection. It disconnects in the middle of some.
func oneLogin(ctx context.Context, g *gatewaytest.Gateway, i int) error {
	client, err := g.TryDial("wim", "wim")
	if err != nil {
		return err
	}
	defer client.Close()
	for n := range 3 {
		if ctx.Err() != nil {
			return nil
		}
		session, err := client.NewSession()
		if err != nil {
			return err
		}
		switch {
		case i == 0: // a follower that disconnects
			err = session.Start("tail -n 0 p-team1-multi")
		case n == 0:
			err = session.Run("ps")
		case n == 1:
			err = session.Run("info p-team2-shop")
		default:
			err = session.Run("logs -n 1 p-team2-shop")
		}
		session.Close()
		if exit, ok := err.(*ssh.ExitError); ok {
			return fmt.Errorf("%w: %s", err, exit.Msg())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
