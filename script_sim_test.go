package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"nomadctld/internal/nomadtest"
	"nomadctld/internal/sim"
)

func simOf(ts *testscript.TestScript) *sim.Cluster {
	c := ts.Value("cluster").(nomadtest.Cluster).Sim
	if c == nil {
		ts.Fatalf("this is for a simulated cluster only")
	}
	return c
}

// wrote is wrote PATTERN: it waits until the simulated cluster has received a request to change something that fits, as
// METHOD PATH?QUERY STATUS BODY. ! wrote looks once.
func wrote(ts *testscript.TestScript, neg bool, args []string) {
	c := simOf(ts)
	pattern := regexp.MustCompile(args[0])
	look := func() error {
		var all strings.Builder
		for _, w := range c.Writes() {
			path := w.Path
			if w.Query != "" {
				path += "?" + w.Query
			}
			line := fmt.Sprintf("%s %s %d %s", w.Method, path, w.Status, bytes.TrimSpace(w.Body))
			if pattern.MatchString(line) {
				return nil
			}
			fmt.Fprintln(&all, line)
		}
		return fmt.Errorf("it has received only:\n%s", all.String())
	}
	if neg {
		if look() == nil {
			ts.Fatalf("the cluster has received %s", args[0])
		}
		return
	}
	poll(ts, "the cluster has received "+args[0], look)
}

// injectFault lets the simulated cluster fail:
//
//	fault leader DURATION                       no leader for so long
//	fault cut METHOD PATH TIMES                 the connection is cut before the order is carried out
//	fault lose METHOD PATH TIMES                the same after it, so that the answer is lost
//	fault hang METHOD PATH TIMES                there is no answer
//	fault answer METHOD PATH TIMES STATUS BODY  the answer is this, and nothing is carried out
//	fault fail JOB TIMES                        allocations that start do not come up
//	fault drift JOB PENDING RUNNING DEAD QUEUED the job's summary counts so many more children of each status, and queued allocations
//	fault heal                                  none of the above any more
//
// TIMES 0 is always.
func injectFault(ts *testscript.TestScript, _ bool, args []string) {
	c := simOf(ts)
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		ts.Check(err)
		return n
	}
	if args[0] == "heal" {
		c.ClearFaults()
		return
	}
	if args[0] == "leader" {
		d, err := time.ParseDuration(args[1])
		ts.Check(err)
		c.LoseLeader(d)
		return
	}
	if args[0] == "fail" {
		c.FailNext("default", args[1], number(args[2]))
		return
	}
	if args[0] == "drift" {
		if !c.SkewSummary("default", args[1], number(args[2]), number(args[3]), number(args[4]), number(args[5])) {
			ts.Fatalf("there is no job %s", args[1])
		}
		return
	}
	f := sim.Fault{Method: args[1], Path: args[2], Times: number(args[3])}
	switch args[0] {
	case "cut":
		f.Cut = true
	case "lose":
		f.LoseResponse = true
	case "hang":
		f.Hang = true
	case "answer":
		f.Status, f.Body = number(args[4]), args[5]
	default:
		ts.Fatalf("no fault %s", args[0])
	}
	c.Inject(f)
}

// controlClient is client kill NODE and client start NODE. The first kills the client agent of a node of the simulated
// cluster, and waits until the servers have noticed: the node is down or, where a group with disconnect { lost_after } runs
// on it, disconnected. Its programs go on. The second starts the agent again, or that of a new node, and waits until the
// node is ready and its client has reported what became of its allocations. The scenario has one node, node-1.
func controlClient(ts *testscript.TestScript, _ bool, args []string) {
	c := simOf(ts)
	if len(args) != 2 {
		ts.Fatalf("usage: client kill|start NODE")
	}
	switch args[0] {
	case "kill":
		c.KillClient(args[1])
		poll(ts, args[1]+" is no longer ready", func() error {
			if status := c.NodeStatus(args[1]); status == "ready" {
				return fmt.Errorf("it is %s", status)
			}
			return nil
		})
	case "start":
		c.StartClient(args[1])
		poll(ts, args[1]+" has reported", func() error {
			if !c.ClientInSync(args[1]) {
				return fmt.Errorf("it is %s", c.NodeStatus(args[1]))
			}
			return nil
		})
	default:
		ts.Fatalf("no client %s", args[0])
	}
}

// askedFor PATTERN MOST fails unless the simulated cluster was asked for the route at least once and at most MOST times.
func askedFor(ts *testscript.TestScript, _ bool, args []string) {
	got := simOf(ts).Traffic(args[0]).Requests
	most, err := strconv.Atoi(args[1])
	ts.Check(err)
	if got < 1 || got > most {
		ts.Fatalf("asked for %s %d times, want 1 to %d", args[0], got, most)
	}
}

// askedIn is askedin TIME every TIME PATH N...: while the first time passes, clients ask for each path at most N times in
// every second time, and at least N times in all.
func askedIn(ts *testscript.TestScript, _ bool, args []string) {
	span, err := time.ParseDuration(args[0])
	ts.Check(err)
	every, err := time.ParseDuration(args[2])
	ts.Check(err)
	cluster := simOf(ts)
	cluster.ResetTraffic()
	begin := time.Now()
	time.Sleep(span)
	for i := 3; i < len(args); i += 2 {
		each, err := strconv.Atoi(args[i+1])
		ts.Check(err)
		got := cluster.Traffic(args[i]).Requests
		if most := each * (int(time.Since(begin)/every) + 2); got < each || got > most {
			ts.Fatalf("asked for %s %d times, want %d to %d", args[i], got, each, most)
		}
	}
}

// gatewayProcess is the gateway that serve has started; kill is nil before that.
type gatewayProcess struct {
	kill   func()
	stdout *os.File // the end of its standard output from which nobody reads, or nil
}

var servingPattern = regexp.MustCompile(`msg=serving address=(\S+)`)

// startProcess is serve [-unread] [FILE]: a gateway as that of the command gateway, but a process of its own, which crash
// kills. With -unread its standard output is a pipe from which nobody reads, and which hangup closes.
func startProcess(ts *testscript.TestScript, _ bool, args []string) {
	unread := len(args) > 0 && args[0] == "-unread"
	if unread {
		args = args[1:]
	}
	file := writeConfig(ts, args)
	log, err := os.OpenFile(ts.MkAbs("gateway.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	defer log.Close()
	before, err := os.ReadFile(log.Name())
	ts.Check(err)
	cmd := exec.Command("nomadctld", "-config", file)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, ts.Getenv("WORK")
	p := ts.Value("process").(*gatewayProcess)
	if unread {
		reader, writer, err := os.Pipe()
		ts.Check(err)
		p.stdout, cmd.Stdout = reader, writer
		defer writer.Close()
		ts.Defer(func() { reader.Close() })
	}
	ts.Check(cmd.Start())
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	p.kill = func() { cmd.Process.Kill(); <-ended }
	ts.Defer(p.kill)
	var address string
	poll(ts, "the process serves", func() error {
		text, err := os.ReadFile(log.Name())
		m := servingPattern.FindSubmatch(text[len(before):])
		if m == nil {
			return fmt.Errorf("its log is %s, %v", bytes.TrimSpace(text), err)
		}
		address = string(m[1])
		return nil
	})
	useGateway(ts, address)
}

// hangup closes the pipe of serve -unread.
func hangup(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.Value("process").(*gatewayProcess).stdout.Close())
}

// crash kills the process that serve has started, as a loss of power would.
func crash(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Value("process").(*gatewayProcess).kill()
}
