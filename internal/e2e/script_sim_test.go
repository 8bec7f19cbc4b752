package e2e

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

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

func simOf(ts *testscript.TestScript) *nomadsim.Cluster {
	c := ts.Value("cluster").(nomadtest.Cluster).Sim
	if c == nil {
		ts.Fatalf("only for a simulated cluster")
	}
	return c
}

// wrote implements the script command wrote.
func wrote(ts *testscript.TestScript, neg bool, args []string) {
	c := simOf(ts)
	pattern := regexp.MustCompile(args[0])
	check := func() error {
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
		return fmt.Errorf("got only:\n%s", all.String())
	}
	if neg {
		if check() == nil {
			ts.Fatalf("the cluster has received %s", args[0])
		}
		return
	}
	poll(ts, "the cluster has received "+args[0], check)
}

// injectFailure implements the script command failure.
func injectFailure(ts *testscript.TestScript, _ bool, args []string) {
	c := simOf(ts)
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		ts.Check(err)
		return n
	}
	if args[0] == "heal" {
		c.ClearFailures()
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
			ts.Fatalf("no job %s", args[1])
		}
		return
	}
	f := nomadsim.Failure{Method: args[1], Path: args[2], Times: number(args[3])}
	switch args[0] {
	case "cut":
		f.Cut = true
	case "lose":
		f.LoseResponse = true
	case "hang":
		f.Hang = true
	case "respond":
		f.Status, f.Body = number(args[4]), args[5]
	default:
		ts.Fatalf("unknown failure %s", args[0])
	}
	c.Inject(f)
}

// controlClient implements the script command client.
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
		ts.Fatalf("unknown argument: client %s", args[0])
	}
}

// checkRequests implements the script command requests.
func checkRequests(ts *testscript.TestScript, _ bool, args []string) {
	got := simOf(ts).Traffic(args[0]).Requests
	maxRequests, err := strconv.Atoi(args[1])
	ts.Check(err)
	if got < 1 || got > maxRequests {
		ts.Fatalf("%s: got %d requests, want 1 to %d", args[0], got, maxRequests)
	}
}

// checkRequestRate implements the script command requestsin.
func checkRequestRate(ts *testscript.TestScript, _ bool, args []string) {
	span, err := time.ParseDuration(args[0])
	ts.Check(err)
	every, err := time.ParseDuration(args[2])
	ts.Check(err)
	cluster := simOf(ts)
	cluster.ResetTraffic()
	start := time.Now()
	time.Sleep(span)
	for i := 3; i < len(args); i += 2 {
		each, err := strconv.Atoi(args[i+1])
		ts.Check(err)
		got := cluster.Traffic(args[i]).Requests
		maxRequests := each * (int(time.Since(start)/every) + 2)
		if got < each || got > maxRequests {
			ts.Fatalf("%s: got %d requests, want %d to %d", args[i], got, each, maxRequests)
		}
	}
}

// scriptProcess is the gateway that serve started. Before that, kill is nil.
type scriptProcess struct {
	kill   func()
	stdout *os.File // the read end of its standard output, or nil
}

// startProcess implements the script command serve.
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
	p := ts.Value("process").(*scriptProcess)
	if unread {
		reader, writer, err := os.Pipe()
		ts.Check(err)
		p.stdout, cmd.Stdout = reader, writer
		defer writer.Close()
		ts.Defer(func() { reader.Close() })
	}
	ts.Check(cmd.Start())
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	p.kill = func() { cmd.Process.Kill(); <-exited }
	ts.Defer(p.kill)
	var address string
	poll(ts, "the process serves", func() error {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			return err
		}
		if address = gatewaytest.ServingAddress(text[len(before):]); address == "" {
			return fmt.Errorf("its log is %s", bytes.TrimSpace(text))
		}
		return nil
	})
	useGateway(ts, address)
}

// closePipe implements the script command closepipe.
func closePipe(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.Value("process").(*scriptProcess).stdout.Close())
}

// crash implements the script command crash.
func crash(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Value("process").(*scriptProcess).kill()
}
