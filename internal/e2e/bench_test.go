package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// BenchmarkPs measures ps over SSH, including the login, and compares it with peers on the same cluster of 5,000
// allocations in the same run. The metrics are medians of 5, in milliseconds and as multiples of a team's ps.
func BenchmarkPs(b *testing.B) {
	const jobs, perJob = 1000, 5
	cluster := nomadsim.New()
	defer cluster.Close()
	for i := range 20 {
		cluster.AddNode(nomadsim.Node{Name: fmt.Sprintf("node-%d", i)})
	}
	for i := range jobs {
		team := "team2"
		if i%50 == 0 { // 20 jobs with 100 allocations
			team = "team1"
		}
		cluster.AddJob(nomadsim.Job{
			ID: fmt.Sprintf("p-%s-%d", team, i), Deployment: nomadsim.Deployment{Status: "successful"},
			Groups: []nomadsim.Group{{Name: "g", Count: perJob}},
		})
	}
	url, err := cluster.Start()
	if err != nil {
		b.Fatal(err)
	}
	run := sessionRunner(b, gatewaytest.Start(b, url, ""))
	team := medianTime(b, func() { run("ann", "ps") })
	report := func(name string, took time.Duration) {
		b.ReportMetric(float64(took.Microseconds())/1000, name+"-ms")
		if took != team {
			b.ReportMetric(float64(took)/float64(team), name+"/ps-of-a-team")
		}
	}
	report("ps-of-a-team", team)
	report("ps-of-all", medianTime(b, func() { run("wim", "ps") }))
	report("ps-of-all-no-stats", medianTime(b, func() { run("wim", "ps --no-stats") }))
	client, err := api.NewClient(&api.Config{Address: url})
	if err != nil {
		b.Fatal(err)
	}
	report("all-allocations-over-http", medianTime(b, func() {
		if _, _, err := client.Allocations().List(nil); err != nil {
			b.Fatal(err)
		}
	}))
	if binary := nomadtest.Binary(); binary != "" {
		report("nomad-job-status", medianTime(b, func() {
			if out, err := exec.Command(binary, "job", "status", "-address="+url).CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}))
	}
	b.ReportMetric(0, "ns/op") // hides the default metric
}

// sessionRunner returns a function that logs in as a user and runs a command line.
func sessionRunner(b *testing.B, g *gatewaytest.Gateway) func(user, line string) {
	return func(user, line string) {
		b.Helper()
		client := g.Dial(b, user)
		defer client.Close()
		session, err := client.NewSession()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := session.Output(line); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHalfOpen measures a user's ps, including the login, during a flood of 2,000 clients from 200 addresses. The
// metrics are ratios to an idle gateway, for a user whose address has logged in before and for one whose address has
// not. They are medians of 21.
func BenchmarkHalfOpen(b *testing.B) {
	cluster := nomadsim.New()
	defer cluster.Close()
	for i := range 20 {
		cluster.AddJob(nomadsim.Job{ID: fmt.Sprintf("p-team1-%d", i)})
	}
	url, err := cluster.Start()
	if err != nil {
		b.Fatal(err)
	}
	g := gatewaytest.StartProcess(b, url, "")
	fresh := 0
	measure := func(known bool) time.Duration {
		var all []time.Duration
		for range 21 {
			from := net.IPv4(127, 0, 0, 1)
			if !known {
				fresh++
				from = net.IPv4(127, 2, byte(fresh>>8), byte(fresh))
			}
			start := time.Now()
			if err := psFrom(g, from); err != nil {
				b.Fatal(err)
			}
			all = append(all, time.Since(start))
			time.Sleep(50 * time.Millisecond)
		}
		return medianOf(all)
	}
	measure(true) // creates the resources that are reused
	idle := measure(true)

	f := startFlood(g.Address, 2000, 200)
	time.Sleep(floodPause)
	known, stranger := measure(true), measure(false)
	b.ReportMetric(float64(f.open.Load()), "half-open-at-the-end")
	b.ReportMetric(float64(f.opened.Load()), "attack-connections")
	f.stop()
	b.ReportMetric(ms(idle), "ms-idle")
	b.ReportMetric(float64(known)/float64(idle), "known/idle")
	b.ReportMetric(float64(stranger)/float64(idle), "stranger/idle")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkComplete measures a completion by nomadctl on an open connection, in each supported shell, and compares it
// with the same request by ssh alone. The metrics are medians of 5.
func BenchmarkComplete(b *testing.B) {
	for _, shell := range [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(shell[0]); err != nil {
			continue
		}
		b.Run(shell[0], func(b *testing.B) {
			cluster := nomadsim.New()
			defer cluster.Close()
			for i := range 100 {
				cluster.AddJob(nomadsim.Job{ID: fmt.Sprintf("p-team1-%d", i)})
			}
			url, err := cluster.Start()
			if err != nil {
				b.Fatal(err)
			}
			c := newClient(b, shell...)
			c.setGateway(gatewaytest.Start(b, url, ""), "ann")
			c.run("", "whoami") // opens the connection
			sockets, _ := filepath.Glob(filepath.Join(c.home, "nomadctl", "*"))
			if len(sockets) != 1 {
				b.Fatalf("got sockets %q, want one", sockets)
			}
			request := func(cmd *exec.Cmd) func() {
				return func() {
					again := *cmd
					if out, err := again.Output(); err != nil || bytes.Count(out, []byte("\n")) != 11 {
						b.Fatalf("got %q, %v, want 11 jobs", out, err)
					}
				}
			}
			whole := medianTime(b, request(c.command("__complete", "--", "status", "p-team1-1")))
			plain := medianTime(b, request(exec.Command("ssh", "-F", "/dev/null", "-o", "ControlPath="+sockets[0], "x",
				"complete -- status p-team1-1")))
			b.ReportMetric(ms(whole), "ms")
			b.ReportMetric(float64(plain)/float64(whole), "ssh-alone/ours")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func medianTime(b *testing.B, f func()) time.Duration {
	b.Helper()
	var all []time.Duration
	for range 5 {
		start := time.Now()
		f()
		all = append(all, time.Since(start))
	}
	return medianOf(all)
}

func medianOf(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
