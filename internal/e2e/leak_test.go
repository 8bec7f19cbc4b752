package e2e

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nomadctld/internal/testenv"

	"golang.org/x/crypto/ssh"
)

// It is not parallel, because it counts the goroutines of this process.
func TestSessions_LeakNothing(t *testing.T) { testLeaks(t, 100) }

func TestSessions_LeakNothingSoak(t *testing.T) {
	testenv.Soak(t)
	testLeaks(t, 1000)
}

// testLeaks runs many sessions that end in different ways, and counts goroutines and open files after them.
func testLeaks(t *testing.T, sessions int) {
	for name, start := range execPaths { // one after the other, because they are in the same process
		t.Run(name, func(t *testing.T) { testPathLeaks(t, start(t), sessions) })
	}
}

func testPathLeaks(t *testing.T, p execPath, sessions int) {
	const atOnce = 8
	run := func(client *ssh.Client, i int) {
		session, err := client.NewSession()
		if err != nil {
			t.Error(err)
			return
		}
		defer session.Close()
		lines := []string{
			"exec p-team1-box echo x", "exec p-team1-box nope", "exec nothing sh", "exec p-team1-box -c 'exit 3'",
			"exec p-team1-box cat", "logs -n 1 p-team1-box/g/box",
		}
		if i%len(lines) == 4 {
			session.Stdin = strings.NewReader("some input")
		}
		if i%7 == 0 {
			session.RequestPty("xterm", 80, 24, nil)
		}
		if i%50 == 0 { // a client that disconnects
			session.Start("exec p-team1-box sleep 60")
			time.Sleep(50 * time.Millisecond)
			return
		}
		session.Run(lines[i%len(lines)])
	}
	round := func(sessions int) {
		var next atomic.Int32
		var all sync.WaitGroup
		for range atOnce {
			all.Go(func() {
				client := p.Dial(t, "wim")
				defer client.Close()
				for i := int(next.Add(1)); i <= sessions; i = int(next.Add(1)) {
					run(client, i)
				}
			})
		}
		all.Wait()
	}
	round(50) // creates the resources that are reused
	goroutines, files := waitForUsage(t, 0, 0)
	round(sessions)
	const idle = 100 // allowance for idle connections to the cluster, which stay open for a minute
	if g, f := waitForUsage(t, goroutines+idle, files+idle); g > goroutines+idle || f > files+idle {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines and %d open files before, %d and %d after\n%.20000s", goroutines, files, g, f,
			buf[:runtime.Stack(buf, true)])
	}
}

// waitForUsage returns the number of goroutines and open files. It first waits until they are within the limits or, if
// the limits are 0, until they have not fallen for a second. It waits for up to 15 seconds.
func waitForUsage(t *testing.T, goroutines, files int) (g, f int) {
	t.Helper()
	const step = 50 * time.Millisecond
	lowest, unchanged := math.MaxInt, time.Duration(0)
	for range 15 * time.Second / step { // programs of disconnected clients take up to ten seconds
		g = runtime.NumGoroutine()
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc")
		}
		f = len(entries)
		if g+f < lowest {
			lowest, unchanged = g+f, 0
		}
		if goroutines == 0 && unchanged >= time.Second || g <= goroutines && f <= files {
			return g, f
		}
		unchanged += step
		time.Sleep(step)
	}
	return g, f
}

func TestExec_ShortProgramsLoseNothing(t *testing.T) {
	t.Parallel()
	testShortPrograms(t, 100)
}

func TestExec_ShortProgramsLoseNothingSoak(t *testing.T) {
	testenv.Soak(t)
	testShortPrograms(t, 10_000)
}

// testShortPrograms checks the output and the exit code of many programs that exit immediately.
func testShortPrograms(t *testing.T, execs int) {
	forEachPath(t, func(t *testing.T, p execPath) {
		const atOnce = 8
		var next, wrong atomic.Int32
		var all sync.WaitGroup
		for range atOnce {
			all.Go(func() {
				client := p.Dial(t, "wim")
				for i := int(next.Add(1)); i <= execs; i = int(next.Add(1)) {
					session, err := client.NewSession()
					if err != nil {
						t.Error(err)
						return
					}
					var stdout, stderr bytes.Buffer
					session.Stdout, session.Stderr = &stdout, &stderr
					code := i % 100
					err = session.Run(fmt.Sprintf("exec p-team1-box sh -c 'echo out %d; echo err %d >&2; printf .; "+
						"exit %d'", i, i, code))
					got := 0
					if exit, ok := err.(*ssh.ExitError); ok {
						got = exit.ExitStatus()
					} else if err != nil {
						got = -1
					}
					if stdout.String() != fmt.Sprintf("out %d\n.", i) || stderr.String() != fmt.Sprintf("err %d\n", i) || got != code {
						t.Errorf("%d: got %q, %q, %d", i, stdout.String(), stderr.String(), got)
						wrong.Add(1)
					}
				}
			})
		}
		all.Wait()
		t.Logf("%d programs, %d wrong", execs, wrong.Load())
	})
}
