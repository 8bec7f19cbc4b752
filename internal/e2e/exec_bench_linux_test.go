package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sys/unix"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// transferSize is the number of bytes that the benchmarks transfer in each direction.
const transferSize = 512 << 20

// BenchmarkExec compares exec into a real container with docker exec, with an OpenSSH sshd that runs docker exec, and,
// if there is a nomad binary, with nomad alloc exec into a process. The metrics are medians of 5. A ratio above 1 is a
// peer that is slower.
func BenchmarkExec(b *testing.B) {
	testenv.NeedSSH(b)
	host := dockertest.Daemon(b)
	cluster := nomadsim.New()
	defer cluster.Close()
	allocation := newAllocation()
	cluster.AddJob(boxJob(nomadsim.Task{Name: "box", Driver: "docker"}, allocation))
	url, err := cluster.Start()
	if err != nil {
		b.Fatal(err)
	}
	container := dockertest.Run(b, "box-"+allocation, map[string]string{"com.hashicorp.nomad.alloc_id": allocation},
		"sleep", "86400")
	g := gatewaytest.StartProcess(b, url, fmt.Sprintf("docker.host = %q\n", host))
	gateway := func(words ...string) *exec.Cmd {
		return g.SSH("wim", append([]string{"exec", "p-team1-box"}, words...)...)
	}
	docker := func(words ...string) *exec.Cmd {
		return exec.Command("docker", append([]string{"-H", host, "exec", "-i", container}, words...)...)
	}
	peers := map[string]func(...string) *exec.Cmd{"docker-exec": docker}
	if sshd := startSSHD(b, g); sshd != nil {
		peers["sshd-running-docker-exec"] = func(words ...string) *exec.Cmd { return sshd(docker(words...).Args...) }
	}
	b.Run("out", func(b *testing.B) {
		compareTimes(b, transferSize, gateway, peers, func(run func(...string) *exec.Cmd, size int) time.Duration {
			return timeOutput(b, run("dd", "if=/dev/zero", "bs=1M", fmt.Sprintf("count=%d", size>>20)), size)
		})
	})
	b.Run("in", func(b *testing.B) {
		compareTimes(b, transferSize, gateway, peers, func(run func(...string) *exec.Cmd, size int) time.Duration {
			return timeInput(b, run("dd", "of=/dev/null", "bs=64k"), size)
		})
	})
	b.Run("sha256", func(b *testing.B) { compareDigests(b, gateway) })
	b.Run("true", func(b *testing.B) {
		timed := func(cmd func() *exec.Cmd) time.Duration {
			return medianTime(b, func() {
				if out, err := cmd().CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
			})
		}
		whole := timed(func() *exec.Cmd { return gateway("true") })
		plain := timed(func() *exec.Cmd { return docker("true") })
		handshake := timed(func() *exec.Cmd { return g.SSH("wim", "help") })
		b.ReportMetric(ms(whole), "ms")
		b.ReportMetric(ms(plain), "docker-exec-ms")
		b.ReportMetric(ms(handshake), "ssh-handshake-ms")
		b.ReportMetric(ms(whole-plain-handshake), "ms-beyond-both")
		b.ReportMetric(0, "ns/op")
	})
	if nomadtest.Binary() != "" {
		b.Run("nomad", benchNomadExec)
	}
}

// benchNomadExec compares with nomad alloc exec: into a container, for which the gateway uses Docker, and into a
// process, for which it uses Nomad.
func benchNomadExec(b *testing.B) {
	agent := nomadtest.Real(b)
	host := dockertest.Daemon(b)
	g := gatewaytest.StartProcess(b, agent.URL, fmt.Sprintf("docker.host = %q\n", host))
	container := runNomadContainer(b, agent.URL)
	for name, job := range map[string]string{"container": "p-team4-box", "process": "p-team3-shell"} {
		size := transferSize
		if name == "process" {
			size /= 4
		}
		nomad := func(words ...string) *exec.Cmd {
			cmd := exec.Command(nomadtest.Binary(),
				append([]string{"alloc", "exec", "-job", "-i=true", "-t=false", job}, words...)...)
			cmd.Env = append(os.Environ(), "NOMAD_ADDR="+agent.URL, "NOMAD_TOKEN="+nomadtest.Token)
			return cmd
		}
		gateway := func(words ...string) *exec.Cmd { return g.SSH("wim", append([]string{"exec", job}, words...)...) }
		peers := map[string]func(...string) *exec.Cmd{"nomad-alloc-exec": nomad}
		if name == "container" { // the gateway uses Docker, so compare with it too
			peers["docker-exec"] = func(words ...string) *exec.Cmd {
				return exec.Command("docker", append([]string{"-H", host, "exec", "-i", container}, words...)...)
			}
		}
		b.Run(name, func(b *testing.B) {
			compareTimes(b, size, gateway, peers, func(run func(...string) *exec.Cmd, size int) time.Duration {
				return timeOutput(b, run("dd", "if=/dev/zero", "bs=1M", fmt.Sprintf("count=%d", size>>20)), size)
			})
		})
		b.Run(name+"-in", func(b *testing.B) {
			compareTimes(b, size, gateway, peers, func(run func(...string) *exec.Cmd, size int) time.Duration {
				return timeInput(b, run("dd", "of=/dev/null", "bs=64k"), size)
			})
		})
	}
}

// runNomadContainer registers a docker task, p-team4-box, with a real Nomad, and returns its container.
func runNomadContainer(b *testing.B, url string) (container string) {
	b.Helper()
	client, err := api.NewClient(&api.Config{Address: url, SecretID: nomadtest.Token})
	if err != nil {
		b.Fatal(err)
	}
	task := api.NewTask("box", "docker")
	task.Config = map[string]any{
		"image": dockertest.Image(b), "force_pull": false, "command": "sleep",
		"args": []string{"86400"},
	}
	group := api.NewTaskGroup("g", 1)
	group.Tasks = []*api.Task{task}
	job := api.NewServiceJob("p-team4-box", "p-team4-box", "global", 50)
	job.TaskGroups = []*api.TaskGroup{group}
	if _, _, err := client.Jobs().Register(job, nil); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Jobs().Deregister("p-team4-box", true, nil) })
	testenv.Eventually(b, "p-team4-box runs", func() bool {
		allocations, _, err := client.Jobs().Allocations("p-team4-box", false, nil)
		if err != nil || len(allocations) != 1 || allocations[0].ClientStatus != "running" {
			return false
		}
		container = "box-" + allocations[0].ID
		return true
	})
	return container
}

// compareTimes reports the speed of the gateway in MB/s, and the time of each peer as a multiple of the gateway's. They
// run in turn, so that other load on the machine affects all of them.
func compareTimes(b *testing.B, size int, gateway func(...string) *exec.Cmd, peers map[string]func(...string) *exec.Cmd,
	move func(func(...string) *exec.Cmd, int) time.Duration,
) {
	times := map[string][]time.Duration{}
	for range 5 {
		times[""] = append(times[""], move(gateway, size))
		for name, peer := range peers {
			times[name] = append(times[name], move(peer, size))
		}
	}
	own := medianOf(times[""])
	b.ReportMetric(float64(size)/1e6/own.Seconds(), "MB/s")
	for name := range peers {
		b.ReportMetric(float64(medianOf(times[name]))/float64(own), name+"/ours")
	}
	b.ReportMetric(0, "ns/op")
}

// timeOutput returns the time in which a command writes size bytes. If it loses some, the time is extrapolated.
func timeOutput(b *testing.B, cmd *exec.Cmd, size int) time.Duration {
	b.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	read, write, null := openPipe(b)
	cmd.Stdout = write
	start := time.Now()
	err := cmd.Start()
	write.Close()
	if err != nil {
		b.Fatal(err)
	}
	var got int64
	for {
		n, err := unix.Splice(int(read.Fd()), nil, int(null.Fd()), nil, pipeSize, 0)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			break
		}
		got += n
	}
	err = cmd.Wait()
	took := time.Since(start)
	if got != int64(size) || err != nil {
		took = time.Duration(float64(took) * float64(size) / float64(max(got, 1)))
		b.Logf("%s: %d of %d bytes, %v %s", strings.Join(cmd.Args, " "), got, size, err, stderr.String())
	}
	return took
}

const pipeSize = 1 << 20

// openPipe returns both ends of a pipe, and /dev/null, to which the content of the pipe can be spliced without copying
// it to this process. That keeps the cost of the measurement low. With a small pipe, wakeups of this process would
// dominate.
func openPipe(b *testing.B) (read, write, null *os.File) {
	b.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		b.Fatal(err)
	}
	read, write = os.NewFile(uintptr(ends[0]), "pipe"), os.NewFile(uintptr(ends[1]), "pipe")
	b.Cleanup(func() { read.Close() })
	unix.FcntlInt(uintptr(ends[0]), unix.F_SETPIPE_SZ, pipeSize)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { null.Close() })
	return read, write, null
}

// timeInput returns the time in which a command reads size bytes.
func timeInput(b *testing.B, cmd *exec.Cmd, size int) time.Duration {
	b.Helper()
	zero, err := os.Open("/dev/zero")
	if err != nil {
		b.Fatal(err)
	}
	defer zero.Close()
	head := exec.Command("head", "-c", fmt.Sprint(size))
	head.Stdin = zero
	pipe, err := head.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdin = pipe
	start := time.Now()
	if err := head.Start(); err != nil {
		b.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v %s", strings.Join(cmd.Args, " "), err, out)
	}
	head.Wait()
	return time.Since(start)
}

// compareDigests transfers random bytes in and out, and compares their digests.
func compareDigests(b *testing.B, gateway func(...string) *exec.Cmd) {
	source := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{7}), transferSize) }
	want := sha256.New()
	io.Copy(want, source())
	sum := hex.EncodeToString(want.Sum(nil))
	in := gateway("sha256sum")
	in.Stdin = source()
	if got, err := in.Output(); err != nil || !strings.HasPrefix(string(got), sum) {
		b.Errorf("in: got %s, %v, want %s", got, err, sum)
	}
	through := gateway("cat")
	through.Stdin = source()
	pipe, err := through.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := through.Start(); err != nil {
		b.Fatal(err)
	}
	back := sha256.New()
	io.Copy(back, pipe)
	if err := through.Wait(); err != nil || hex.EncodeToString(back.Sum(nil)) != sum {
		b.Errorf("in and out: got %x, %v, want %s", back.Sum(nil), err, sum)
	}
	b.ReportMetric(0, "ns/op")
}

// startSSHD starts an OpenSSH server for the same user key, and returns a function that runs a command through it, or
// nil if there is no sshd.
func startSSHD(b *testing.B, g *gatewaytest.Gateway) func(words ...string) *exec.Cmd {
	path := "/usr/sbin/sshd"
	me, err := user.Current()
	if _, missing := os.Stat(path); missing != nil || err != nil || me.Uid != "0" {
		b.Log("no sshd to compare with: apt-get install openssh-server, and run as root")
		return nil
	}
	dir := b.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	listener.Close()
	os.MkdirAll("/run/sshd", 0o755)
	settings := fmt.Sprintf("ListenAddress 127.0.0.1\nPort %s\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes "+
		"no\nPidFile none\nUsePAM no\nPermitRootLogin yes\n",
		port, g.Dir.Path("hostkey"), g.Dir.Path("wim.pub"))
	if err := os.WriteFile(filepath.Join(dir, "sshd_config"), []byte(settings), 0o600); err != nil {
		b.Fatal(err)
	}
	server := exec.Command(path, "-D", "-f", filepath.Join(dir, "sshd_config"))
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Process.Kill(); server.Wait() })
	testenv.Eventually(b, "sshd listens", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return func(words ...string) *exec.Cmd {
		return exec.Command("ssh", append([]string{
			"-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
			"-i", g.Dir.Path("wim"), "-p", port, me.Username + "@127.0.0.1",
		}, words...)...)
	}
}

// BenchmarkTails measures the memory of 300 viewers of one log, and of 300 idle sessions for comparison.
func BenchmarkTails(b *testing.B) {
	const viewers, perConnection = 300, 10
	host := dockertest.Daemon(b)
	cluster := nomadsim.New()
	defer cluster.Close()
	allocation := newAllocation()
	cluster.AddJob(boxJob(nomadsim.Task{Name: "box", Driver: "docker"}, allocation))
	url, err := cluster.Start()
	if err != nil {
		b.Fatal(err)
	}
	dockertest.Run(b, "box-"+allocation, map[string]string{"com.hashicorp.nomad.alloc_id": allocation}, "sh", "-c",
		"while :; do echo a log line of a typical length, about 60 bytes; sleep 0.1; done")
	g := gatewaytest.Start(b, url, fmt.Sprintf("docker.host = %q\nlimits.user = { connections = 100, sessions = 1000, "+
		"logs = 1000 }\n", host))
	heap := func(line string) float64 {
		var stop []io.Closer
		defer func() {
			for _, c := range stop {
				c.Close()
			}
			time.Sleep(2 * time.Second)
		}()
		for range viewers / perConnection {
			client := g.Dial(b, "wim")
			stop = append(stop, client)
			for range perConnection {
				session, err := client.NewSession()
				if err != nil {
					b.Fatal(err)
				}
				session.Stdout = io.Discard
				if err := session.Start(line); err != nil {
					b.Fatal(err)
				}
			}
		}
		time.Sleep(5 * time.Second)
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapInuse) / viewers / 1024
	}
	idle := heap("ps --watch 3600 no-such-job")
	tails := heap("tail p-team1-box/g/box")
	b.ReportMetric(idle, "KiB/idle-session")
	b.ReportMetric(tails, "KiB/tail")
	b.ReportMetric(tails-idle, "KiB-beyond-an-idle-session")
	b.ReportMetric(0, "ns/op")
}
