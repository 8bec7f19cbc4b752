package e2e

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// flood has clients that connect without authenticating. Half of them send nothing, half send their version. The
// gateway closes most of them, and they reconnect after floodPause.
type flood struct {
	open, opened atomic.Int64 // connections
	stop         func()       // waits until all are closed
}

const floodPause = 5 * time.Second

// startFlood starts a flood from the addresses 127.1.0.1 and following. It takes floodPause until all clients have
// connected.
func startFlood(address string, clients, addresses int) *flood {
	var f flood
	ctx, cancel := context.WithCancel(context.Background())
	var attackers sync.WaitGroup
	for i := range clients {
		from := &net.TCPAddr{IP: net.IPv4(127, 1, 0, byte(1+i%addresses))}
		attackers.Go(func() {
			wait := floodPause * time.Duration(i) / time.Duration(clients)
			for {
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return
				}
				wait = floodPause
				conn, err := (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", address)
				if err != nil {
					continue
				}
				f.opened.Add(1)
				f.open.Add(1)
				cut := context.AfterFunc(ctx, func() { conn.Close() })
				if i%2 == 0 {
					io.WriteString(conn, "SSH-2.0-OpenSSH_9.2\r\n")
				}
				io.Copy(io.Discard, conn)
				cut()
				conn.Close()
				f.open.Add(-1)
			}
		})
	}
	f.stop = func() { cancel(); attackers.Wait() }
	return &f
}

// dialFrom logs in as ann from a loopback address.
func dialFrom(g *gatewaytest.Gateway, from net.IP, key ssh.Signer) (*ssh.Client, error) {
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).Dial("tcp", g.Address)
	if err != nil {
		return nil, err
	}
	c, channels, requests, err := ssh.NewClientConn(conn, g.Address, &ssh.ClientConfig{
		User: "ann", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), nil
}

// psFrom logs in as ann from a loopback address, runs ps and disconnects.
func psFrom(g *gatewaytest.Gateway, from net.IP) error {
	client, err := dialFrom(g, from, g.Keys["ann"])
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	_, err = session.Output("ps")
	return err
}

// startMeasured starts a gateway process. usage returns what it uses.
func startMeasured(t *testing.T, url, settings string) (g *gatewaytest.Gateway, usage func() processUsage) {
	t.Helper()
	dir, err := os.MkdirTemp("", "") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	g = gatewaytest.StartProcess(t, url, "metrics.bind = \"unix:"+socket+"\"\n"+settings)
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	return g, func() (u processUsage) {
		t.Helper()
		response, err := client.Get("http://gateway/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		series := map[string]*float64{
			"go_goroutines": &u.goroutines, "process_open_fds": &u.files,
			"go_memstats_heap_alloc_bytes": &u.heap, "process_resident_memory_bytes": &u.resident,
		}
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), " ")
			if field := series[name]; field != nil {
				*field, _ = strconv.ParseFloat(value, 64)
			}
		}
		if u.goroutines == 0 || u.files == 0 || u.heap == 0 {
			t.Fatalf("got %+v", u)
		}
		return u
	}
}

// processUsage is what a gateway process reports about itself. Memory is in bytes.
type processUsage struct{ goroutines, files, heap, resident float64 }

// waitForIdle waits until the usage of an idle gateway is back at the value before the test. Idle connections to the
// cluster are closed after a minute. Go collects the garbage of an idle process every two minutes.
func waitForIdle(t *testing.T, before processUsage, usage func() processUsage) {
	t.Helper()
	const allowance, heapAllowance = 20, 16 << 20
	var after processUsage
	start := time.Now()
	for tick := time.NewTicker(time.Second); ; <-tick.C {
		after = usage()
		if after.goroutines <= before.goroutines+allowance && after.files <= before.files+allowance &&
			after.heap <= before.heap+heapAllowance {
			break
		}
		if time.Since(start) > 4*time.Minute {
			t.Errorf("the usage did not return to its value before the test")
			break
		}
	}
	t.Logf("before: %.0f goroutines, %.0f files, heap %.1f MB, resident %.1f MB; after: %.0f, %.0f, %.1f, %.1f",
		before.goroutines, before.files, before.heap/1e6, before.resident/1e6,
		after.goroutines, after.files, after.heap/1e6, after.resident/1e6)
}

// TestHalfOpen_PsWorksSoak runs ps from an address that has logged in before and from addresses that have not, while
// 2,000 clients connect without authenticating. BenchmarkHalfOpen measures its time.
func TestHalfOpen_PsWorksSoak(t *testing.T) {
	testenv.Soak(t)
	g, usage := startMeasured(t, nomadtest.Simulated(t).URL, "")
	known := net.IPv4(127, 0, 0, 1)
	if err := psFrom(g, known); err != nil {
		t.Fatal(err)
	}
	before := usage()
	f := startFlood(g.Address, 2000, 200)
	defer f.stop()
	testenv.Eventually(t, "all clients have connected", func() bool { return f.opened.Load() >= 2000 })
	for i := range 100 {
		if err := psFrom(g, known); err != nil {
			t.Errorf("ps %d from a known address: %v", i, err)
		}
		if err := psFrom(g, net.IPv4(127, 2, 0, byte(1+i))); err != nil {
			t.Errorf("ps %d from a new address: %v", i, err)
		}
	}
	t.Logf("%d connections in total, %d open at the end", f.opened.Load(), f.open.Load())
	f.stop()
	waitForIdle(t, before, usage)
}

// TestFailedLogins_PsWorksSoak runs ps while 200 logins a second fail for 30 seconds, from 100 addresses.
func TestFailedLogins_PsWorksSoak(t *testing.T) {
	testenv.Soak(t)
	for name, settings := range map[string]string{
		"exempt":    "", // as loopback is by default, so the gateway does every handshake
		"penalties": `limits.penalties.exempt = ["127.0.0.1"]` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			g, usage := startMeasured(t, nomadtest.Simulated(t).URL, settings)
			known := net.IPv4(127, 0, 0, 1)
			if err := psFrom(g, known); err != nil {
				t.Fatal(err)
			}
			before := usage()
			ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
			defer stop()
			var tried, accepted, commands atomic.Int64
			var attackers sync.WaitGroup
			attackers.Go(func() {
				slots := make(chan struct{}, 400)
				tick := time.NewTicker(time.Second / 200)
				defer tick.Stop()
				for i := 0; ctx.Err() == nil; i++ {
					<-tick.C
					slots <- struct{}{}
					attackers.Go(func() {
						defer func() { <-slots }()
						tried.Add(1)
						if client, err := dialFrom(g, net.IPv4(127, 1, 0, byte(1+i%100)), g.Keys["hostkey"]); err == nil {
							accepted.Add(1)
							client.Close()
						}
					})
				}
			})
			for ctx.Err() == nil {
				if err := psFrom(g, known); err != nil {
					t.Errorf("ps %d: %v", commands.Load(), err)
				}
				commands.Add(1)
			}
			attackers.Wait()
			if accepted.Load() != 0 {
				t.Errorf("%d logins with an unknown key succeeded", accepted.Load())
			}
			refused := strings.Count(testenv.ReadFile(t, g.Dir.Path("audit")), `"login_refused"`)
			t.Logf("%d failed logins, %d events of them; %d logins with ps", tried.Load(), refused, commands.Load())
			if limit := 60 * 3; refused == 0 || refused > limit { // 60 a minute, in bursts of 60, and a summary
				t.Errorf("%d events of refused logins, want 1 to %d", refused, limit)
			}
			waitForIdle(t, before, usage)
		})
	}
}
