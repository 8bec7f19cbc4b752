package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

func TestTail_FollowsIntoNextContainer(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	g := dockerBox(t)
	first := g.startContainer(t, "echo one; sleep 3; echo two; echo err >&2; exec sleep 600")
	tail := g.SSH("wim", "tail", "--split", "p-team1-box/g/box")
	var stderr bytes.Buffer
	tail.Stderr = &stderr
	pipe, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(pipe)
	next := func(want string) {
		t.Helper()
		if got, err := lines.ReadString('\n'); got != want+"\n" {
			t.Fatalf("got %q, %v, want %q; stderr %q", got, err, want, stderr.String())
		}
	}
	next("one")
	next("two")
	dockertest.Remove(t, first)
	g.startContainer(t, "echo three; sleep 1; echo four; exit 3")
	next("three")
	next("four")
	job := boxJob(nomadsim.Task{Name: "box", Driver: "docker"}, g.allocation)
	at := time.Now()
	job.Groups[0].Allocations[0].ClientStatus = "failed"
	job.Groups[0].Allocations[0].Tasks = map[string]nomadsim.TaskState{"box": {
		State: "dead", Failed: true, Events: []nomadsim.Event{jobspec.Started(at), jobspec.DockerTerminated(at, 3, "")},
	}}
	g.cluster.AddJob(job)
	rest, _ := io.ReadAll(lines)
	if err := tail.Wait(); err != nil || len(rest) > 0 {
		t.Errorf("got %v and %q after the task exited", err, rest)
	}
	if !strings.HasPrefix(stderr.String(), "err\nnomadctld: box of p-team1-box.g[0] has finished at 20") ||
		!strings.HasSuffix(stderr.String(), " with exit code 3\n") {
		t.Errorf("stderr: got %q", stderr.String())
	}
}

// TestTail_NextContainerNoLossNoRepeat restarts a silent container after a pause. tail must print the log of the new
// container completely, and nothing twice.
func TestTail_NextContainerNoLossNoRepeat(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	g := dockerBox(t)
	container := g.startContainer(t, "trap \"echo tick\" HUP; echo old; while :; do sleep 0.1; done")
	got := map[string]*testenv.Buffer{}
	for _, line := range []string{"tail", "tail -n 0", "tail --stdout", "tail -n all", "tail --since 0s"} {
		cmd := g.SSH("wim", line+" p-team1-box/g/box")
		got[line] = new(testenv.Buffer)
		cmd.Stdout = got[line]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	}
	waitForAll := func(what, pattern string) {
		t.Helper()
		for line, out := range got {
			testenv.Eventually(t, line+" prints "+what,
				func() bool { return regexp.MustCompile(pattern).MatchString(out.String()) })
		}
	}
	for i := range 20 { // until all of them print a line
		if i > 0 && !slices.ContainsFunc(slices.Collect(maps.Values(got)),
			func(b *testenv.Buffer) bool { return b.String() == "" }) {
			break
		}
		dockertest.Signal(t, container, syscall.SIGHUP)
		time.Sleep(time.Second)
	}
	waitForAll("the output of the first container", "tick\n$")
	for i := range 2 {
		dockertest.Signal(t, container, syscall.SIGKILL)
		time.Sleep(3 * time.Second)
		dockertest.Remove(t, container)
		time.Sleep(2 * time.Second)
		container = g.startContainer(t, fmt.Sprintf("echo new %d; exec sleep 600", i))
		waitForAll("the output of the next container", fmt.Sprintf("new %d\n$", i))
	}
	for line, out := range got {
		if !regexp.MustCompile(`^(old\n)?(tick\n)+new 0\nnew 1\n$`).MatchString(out.String()) ||
			strings.HasPrefix(out.String(), "old") != !strings.HasSuffix(line, "0") && !strings.HasSuffix(line, "s") {
			t.Errorf("%s: got %q", line, out)
		}
	}
}

// TestTail_LineEndsWithContainer: a last line without a newline is not joined with the first line of the next
// container.
func TestTail_LineEndsWithContainer(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	g := dockerBox(t)
	container := g.startContainer(t, "echo started; printf half; exec sleep 600")
	tail := g.SSH("wim", "tail -t p-team1-box/g/box")
	out := new(testenv.Buffer)
	tail.Stdout = out
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tail.Process.Kill(); tail.Wait() })
	testenv.Eventually(t, "tail prints the first line",
		func() bool { return strings.HasSuffix(out.String(), " started\n") })
	dockertest.Signal(t, container, syscall.SIGKILL)
	testenv.Eventually(t, "the last line of the first container",
		func() bool { return strings.HasSuffix(out.String(), "Z half\n") })
	dockertest.Remove(t, container)
	g.startContainer(t, "echo whole; exec sleep 600")
	testenv.Eventually(t, "the first line of the next",
		func() bool { return regexp.MustCompile(`\n\S+Z half\n\S+Z whole\n$`).MatchString(out.String()) })
}

// TestTail_OutputClosedBeforeLastLine closes the output before the last line, which has no newline, so tail would print
// it only when the task exits.
func TestTail_OutputClosedBeforeLastLine(t *testing.T) {
	t.Parallel()
	cluster := nomadtest.Simulated(t)
	task := nomadsim.Task{Name: "t", Driver: "raw_exec", Command: []string{"/bin/sh", "-c", "sleep 3; printf half"}}
	cluster.Sim.AddJob(nomadsim.Job{
		ID: "p-team1-short", Type: "batch", Groups: []nomadsim.Group{{Name: "g", Tasks: []nomadsim.Task{task}}},
	})
	g := gatewaytest.Start(t, cluster.URL, "")
	channel, requests, err := g.Dial(t, "wim").OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	channel.SendRequest("exec", true, ssh.Marshal(struct{ Line string }{"tail --grep half p-team1-short/g/t"}))
	channel.SendRequest("eow@openssh.com", false, nil) // its stdout is closed
	code := -1
	for request := range requests {
		if request.Type == "exit-status" {
			code = int(binary.BigEndian.Uint32(request.Payload))
		}
	}
	if code != 141 {
		t.Errorf("got %d", code)
	}
}

// TestTail_ViewersShareStream counts the requests for the log.
func TestTail_ViewersShareStream(t *testing.T) {
	t.Parallel()
	cluster := nomadtest.Simulated(t)
	cluster.Sim.AddJob(boxJob(nomadsim.Task{
		Name: "box", Driver: "raw_exec",
		Command: []string{"/bin/sh", "-c", "seq 200; seq 200 >&2; exec sleep 600"},
	}, newAllocation()))
	g := gatewaytest.Start(t, cluster.URL, "")
	requestsOfFirst := 0
	for i, c := range []struct{ flags, last string }{
		{"", "200\n"}, {"", "200\n"}, {"-n 6", "198\n199\n200\n"}, {"-n 1 -t", "200\n"},
	} {
		session, err := g.Dial(t, "wim").NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out := new(testenv.Buffer)
		session.Stdout = out
		if err := session.Start("tail " + c.flags + " p-team1-box/g/box"); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, "the last lines are printed", func() bool { return strings.HasSuffix(out.String(), c.last) })
		countRequests := func() int { return cluster.Sim.Traffic("/v1/client/fs/logs/{id}").Requests }
		requests := countRequests()
		if i == 0 {
			for requestsOfFirst = -1; requests != requestsOfFirst; requests = countRequests() {
				requestsOfFirst = requests // the request for stderr may come later
				time.Sleep(500 * time.Millisecond)
			}
		} else if requests != requestsOfFirst || requestsOfFirst == 0 {
			t.Errorf("%q: %d requests, want %d, as with one viewer", c.flags, requests, requestsOfFirst)
		}
	}
}

func TestTail_FollowsProcessRestart(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	job := boxJob(nomadsim.Task{Name: "box", Driver: "raw_exec", Command: []string{
		"/bin/sh", "-c",
		"echo first; sleep 3; echo last; exit 3",
	}}, newAllocation())
	job.Groups[0].Restart = &nomadsim.Restart{Attempts: 1, Interval: time.Hour, Delay: time.Second, Mode: "fail"}
	cluster.Sim.AddJob(job)
	g := gatewaytest.Start(t, cluster.URL, "")
	tail := g.SSH("wim", "tail p-team1-box/g/box")
	var stderr bytes.Buffer
	tail.Stderr = &stderr
	out, err := tail.Output()
	if string(out) != "first\nlast\nfirst\nlast\n" || err != nil ||
		!strings.HasSuffix(stderr.String(), " with exit code 3\n") {
		t.Errorf("got %q, %q, %v", out, stderr.String(), err)
	}
}

func TestTail_AddsNewAllocations(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	task := nomadsim.Task{Name: "box", Driver: "raw_exec", Command: []string{
		"/bin/sh", "-c",
		"echo from $NOMAD_ALLOC_INDEX; exec sleep 600",
	}}
	job := boxJob(task, newAllocation())
	cluster.Sim.AddJob(job)
	g := gatewaytest.Start(t, cluster.URL, "")
	tail := g.SSH("wim", "tail p-team1-box")
	tail.Args = append([]string{"ssh", "-tt"}, tail.Args[1:]...)
	c := onTerminal(t, tail, 80, 24)
	c.expect("g[0]/box |\x1b[0m from 0\r\n") // prefix in a color
	more := job
	more.Groups[0].Count = 2
	more.Groups[0].Allocations = append(more.Groups[0].Allocations[:1:1],
		nomadsim.Allocation{ID: newAllocation(), Node: "node-1"})
	cluster.Sim.AddJob(more)
	c.expect("g[1]/box |\x1b[0m from 1\r\n")
	c.send("\x03")
	if code, rest := c.waitExit(); code != 0 {
		t.Errorf("Ctrl-C: got %d, %q", code, rest)
	}
}

func TestTail_SlowViewerSkipsLines(t *testing.T) {
	t.Parallel()
	g := dockerBox(t)
	container := g.startContainer(t,
		"trap go=1 HUP; echo ready; while [ -z \"$go\" ]; do sleep 0.1; done; i=0; while [ $i -lt 1000 ]; do "+
			"i=$((i+1)); head -c 20000 /dev/zero | tr '\\0' x; echo $i; sleep 0.01; done; echo last; exec sleep 600")
	view := func() (*bufio.Reader, *testenv.Buffer) {
		session, err := g.Dial(t, "wim").NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, err := session.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		stderr := new(testenv.Buffer)
		session.Stderr = stderr
		if err := session.Start("tail p-team1-box/g/box"); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReaderSize(out, 64<<10)
		if line, err := r.ReadString('\n'); line != "ready\n" {
			t.Fatal(line, err)
		}
		return r, stderr
	}
	slow, slowErr := view()
	fast, fastErr := view()
	dockertest.Signal(t, container, syscall.SIGHUP)
	count := func(r *bufio.Reader) (lines int) {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("after %d lines: %v", lines, err)
			}
			if strings.HasSuffix(line, "last\n") {
				return lines
			}
			lines++
		}
	}
	skipped := func(stderr string) (lines int) {
		notice := regexp.MustCompile(`nomadctld: (\d+) lines? skipped here: this client reads too slowly\n`)
		for _, match := range notice.FindAllStringSubmatch(stderr, -1) {
			n, _ := strconv.Atoi(match[1])
			lines += n
		}
		return lines
	}
	seen := count(fast) // all lines, unless this machine is too slow
	if missed := skipped(fastErr.String()); seen+missed < 1000 || missed == 0 && seen != 1000 {
		t.Errorf("fast viewer: got %d lines and %d skipped, want 1000 in total; %s", seen, missed, fastErr)
	}
	seenSlow := count(slow)
	// stderr has its own goroutine, so the report may arrive later.
	testenv.Eventually(t, "the slow viewer gets the number of skipped lines", func() bool {
		return seenSlow+skipped(slowErr.String()) >= 1000
	})
	if missed := skipped(slowErr.String()); seenSlow >= min(seen, 900) || seenSlow+missed < 1000 {
		t.Errorf("slow viewer: got %d lines, fast viewer: %d; %q", seenSlow, seen, slowErr)
	}
}

func TestTail_KilledClientStopsTail(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	cluster.Sim.AddJob(boxJob(nomadsim.Task{
		Name: "box", Driver: "raw_exec",
		Command: []string{"/bin/sh", "-c", "echo on; exec sleep 600"},
	}, newAllocation()))
	g := gatewaytest.Start(t, cluster.URL, "")
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM} {
		tail := g.SSH("wim", "tail p-team1-box/g/box")
		startAndExpect(t, tail, "on\n")
		done := len(g.Events(t))
		tail.Process.Signal(signal)
		tail.Wait()
		testenv.Eventually(t, "the event of the tail is written", func() bool { return len(g.Events(t)) > done })
	}
}
