package nomadsim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"nomadctld/internal/nomadsim/agent"
)

const execPath = "/v1/client/allocation/{id}/exec"

// execCluster is a cluster with the token "root" and three tasks: t (raw_exec) and d (docker) without a process, and p
// with one.
func execCluster(t *testing.T) (c *Cluster, address, allocation string) {
	c = New()
	c.AddToken("root", Rights{Management: true})
	c.AddJob(Job{
		ID: "j", Groups: []Group{{Tasks: []Task{{Name: "t", Driver: "raw_exec"}, shell("p", sleepScript), {Name: "d"}}}},
	})
	address, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, address, c.Allocations("default", "j")[0]
}

// startExec starts an exec like the real client.
func startExec(t *testing.T, address, allocation, task string, tty bool, command ...string) *websocket.Conn {
	t.Helper()
	words, _ := json.Marshal(command)
	query := url.Values{"task": {task}, "tty": {fmt.Sprint(tty)}, "command": {string(words)}}
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(address, "http")+"/v1/client/allocation/"+
		allocation+"/exec?"+query.Encode(),
		http.Header{"X-Nomad-Token": {"root"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func sendFrames(t *testing.T, conn *websocket.Conn, frames ...string) {
	t.Helper()
	for _, f := range frames {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(f)); err != nil {
			t.Fatal(err)
		}
	}
}

// readFrames returns all frames and the final error. Consecutive stdout frames are merged.
func readFrames(conn *websocket.Conn) (frames []string) {
	var output []byte
	for {
		_, m, err := conn.ReadMessage()
		var out agent.ExecOutput
		if err == nil && json.Unmarshal(m, &out) == nil && out.Stdout != nil && !out.Stdout.Close {
			output = append(output, out.Stdout.Data...)
			continue
		}
		if len(output) > 0 {
			text, _ := json.Marshal(agent.ExecOutput{Stdout: &agent.Stream{Data: output}})
			frames, output = append(frames, string(text)), nil
		}
		if err != nil {
			return append(frames, err.Error())
		}
		frames = append(frames, strings.TrimSpace(string(m)))
	}
}

const (
	stdinHello       = `{"stdin":{"data":"aGVsbG8K"}}`
	stdinEOF         = `{"stdin":{"close":true}}`
	closedAbnormally = "websocket: close 1006 (abnormal closure): unexpected EOF"
)

func TestExec_RecordedFrames(t *testing.T) {
	t.Parallel()
	_, address, id := execCluster(t)
	for _, test := range []struct {
		task    string
		tty     bool
		command string
		say     []string
		hear    []string // the streams may end in any order
	}{
		{"t", false, "cat; exit 4", []string{stdinHello, stdinEOF}, []string{
			`{"stdout":{"data":"aGVsbG8K"}}`, `{"stdout":{"close":true}}`, `{"stderr":{"close":true}}`,
			`{"exited":true,"result":{"exit_code":4}}`, closedAbnormally,
		}},
		{"p", false, "true", []string{"{}", stdinEOF}, []string{
			`{"stdout":{"close":true}}`, `{"stderr":{"close":true}}`, `{"exited":true,"result":{}}`, closedAbnormally,
		}},
		{
			"t", true, "stty -echo; tty >/dev/null && echo yes; exit 3",
			[]string{`{"tty_size":{"height":24,"width":80}}`},
			[]string{
				`{"stdout":{"data":"eWVzDQo="}}`, `{"stdout":{"close":true}}`, `{"exited":true,"result":{"exit_code":3}}`,
				closedAbnormally,
			},
		},
	} {
		conn := startExec(t, address, id, test.task, test.tty, "/bin/sh", "-c", test.command)
		sendFrames(t, conn, test.say...)
		got := readFrames(conn)
		slices.Sort(got[:len(got)-2])
		slices.Sort(test.hear[:len(test.hear)-2])
		wantList(t, test.command, got, test.hear)
	}
	conn := startExec(t, address, id, "d", false, "/nope")
	sendFrames(t, conn, stdinEOF)
	text := `{"stdout":{"data":"` + base64.StdEncoding.EncodeToString([]byte("OCI runtime exec failed: exec failed: "+
		"unable to start container process: exec: \"/nope\": stat /nope: no such file or directory: unknown\r\n")) + `"}}`
	wantList(t, "not found in a container", readFrames(conn), []string{
		text, `{"stdout":{"close":true}}`, `{"stderr":{"close":true}}`, `{"exited":true,"result":{"exit_code":126}}`,
		closedAbnormally,
	})
}

func TestExec_NeedsToken(t *testing.T) {
	root := t.TempDir()
	t.Setenv("TMPDIR", root)
	open := New()
	anonymous := New()
	anonymous.AddToken("", Rights{Management: true})
	for name, c := range map[string]*Cluster{"ACL off": open, "anonymous": anonymous} {
		defer c.Close()
		c.AddJob(Job{ID: "j"})
		path := "/v1/client/allocation/" + c.Allocations("default", "j")[0] + "/exec?task=main&command=%5B%22true%22%5D"
		w := get(c, path, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Version", "13",
			"Sec-Websocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
		if w.Code != 403 {
			t.Errorf("%s: got %d %s, want 403", name, w.Code, w.Body)
		}
		if all, err := os.ReadDir(root); err != nil || len(all) != 0 {
			t.Errorf("%s: got directories %v, %v, want none", name, all, err)
		}
	}
}

func TestExec_WaitsForStdinEOF(t *testing.T) {
	t.Parallel()
	_, address, id := execCluster(t)
	conn := startExec(t, address, id, "t", false, "true")
	frames := make(chan []string, 1)
	go func() { frames <- readFrames(conn) }()
	select {
	case got := <-frames:
		t.Fatalf("with stdin open: got %q, want nothing", got)
	case <-time.After(300 * time.Millisecond):
	}
	sendFrames(t, conn, stdinEOF)
	if got := <-frames; got[len(got)-2] != `{"exited":true,"result":{}}` {
		t.Errorf("with stdin closed: got %q, want the exit", got)
	}
}

func TestExec_StdinEOFClosesTerminal(t *testing.T) {
	t.Parallel()
	_, address, id := execCluster(t)
	// Without opost, a line reaches the reader in one chunk. With it, the kernel may deliver "b" before "\r\n".
	conn := startExec(t, address, id, "t", true, "/bin/sh", "-c", "stty -opost; echo a; sleep 3; echo b; exit 4")
	if _, m, err := conn.ReadMessage(); err != nil || strings.TrimSpace(string(m)) != `{"stdout":{"data":"YQo="}}` {
		t.Fatalf("got %s, %v, want a", m, err)
	}
	sendFrames(t, conn, stdinEOF)
	got := readFrames(conn)
	// The close takes effect while copyOutput is not reading: immediately, or after the shell has written b. Then the
	// shell may get SIGHUP before it exits.
	if got[0] == `{"exited":true,"result":{"exit_code":129}}` {
		got = append([]string{`{"stdout":{"data":"Ygo="}}`}, got...)
	}
	if got[1] == `{"exited":true,"result":{"exit_code":129}}` {
		got[1] = `{"exited":true,"result":{"exit_code":4}}`
	}
	wantList(t, "after the close", got,
		[]string{`{"stdout":{"data":"Ygo="}}`, `{"exited":true,"result":{"exit_code":4}}`, closedAbnormally})
}

func TestExec_ResizesTerminal(t *testing.T) {
	t.Parallel()
	_, address, id := execCluster(t)
	conn := startExec(t, address, id, "t", true, "/bin/sh", "-c",
		`while [ "$(stty size)" != "50 132" ]; do sleep 0.05; done; echo big`)
	sendFrames(t, conn, `{"tty_size":{"height":24,"width":80}}`, `{"tty_size":{"height":50,"width":132}}`)
	if got := readFrames(conn); got[0] != `{"stdout":{"data":"YmlnDQo="}}` {
		t.Errorf("got %q, want big", got)
	}
}

// readPID reads the process ID that a program prints first.
func readPID(t *testing.T, conn *websocket.Conn) (pid int) {
	t.Helper()
	var out agent.ExecOutput
	if err := conn.ReadJSON(&out); err != nil || out.Stdout == nil {
		t.Fatalf("got %+v, %v, want a process ID", out, err)
	}
	fmt.Sscan(string(out.Stdout.Data), &pid)
	return pid
}

func TestExec_DisconnectKillsAtNextOutput(t *testing.T) {
	t.Parallel()
	for name, tty := range map[string]bool{"pipes": false, "terminal": true} {
		t.Run(name, func(t *testing.T) {
			c, address, id := execCluster(t)
			silent := startExec(t, address, id, "t", tty, "/bin/sh", "-c", sleepScript)
			loud := startExec(t, address, id, "t", tty, "/bin/sh", "-c",
				"echo $$; sleep 0.3; while echo x; do sleep 0.1; done; sleep 600")
			one, other := readPID(t, silent), readPID(t, loud)
			silent.Close()
			loud.Close()
			waitUntil(t, "the loud program is killed", func() bool { return !alive(other) })
			if !alive(one) {
				t.Error("the silent program is dead, want it still running, as in Nomad")
			}
			c.Close()
			if alive(one) {
				t.Error("the silent program is alive after Close")
			}
		})
	}
}

func TestClose_KillsBackgroundJobs(t *testing.T) {
	t.Parallel()
	c, address, id := execCluster(t)
	conn := startExec(t, address, id, "t", true, "/bin/sh", "-c",
		"set -m; trap '' HUP; nohup sleep 602 >/dev/null 2>&1 & echo $!; wait")
	pid := readPID(t, conn)
	c.Close()
	waitUntil(t, "the job of the shell is killed", func() bool { return !alive(pid) })
}

func TestExec_ClosedWhenTaskStops(t *testing.T) {
	t.Parallel()
	c, address, id := execCluster(t)
	conn := startExec(t, address, id, "p", false, "/bin/sh", "-c", sleepScript)
	pid := readPID(t, conn)
	c.Purge("default", "j")
	got := readFrames(conn)
	if want := "websocket: close 1011 (internal server error): plugin is shut down"; got[len(got)-1] != want {
		t.Errorf("got %q, want %s", got, want)
	}
	waitUntil(t, "the program is killed", func() bool { return !alive(pid) })
}

func TestLimit_CountsWebsockets(t *testing.T) {
	t.Parallel()
	c, address, id := execCluster(t)
	c.LimitConnections(1)
	c.ResetTraffic()
	conn := startExec(t, address, id, "t", false, "/bin/sh", "-c", "echo $$; sleep 600")
	readPID(t, conn)
	if b := c.Traffic(execPath).Bytes; b < 30 {
		t.Errorf("traffic: got %d bytes, want those of the frame", b)
	}
	ask := func() string {
		conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /v1/jobs HTTP/1.0\r\nX-Nomad-Token: root\r\n\r\n")
		answer, _ := io.ReadAll(conn)
		return string(answer)
	}
	if answer := ask(); strings.Contains(answer, " 200 ") {
		t.Errorf("a second connection: got %s, want it refused", answer)
	}
	c.Purge("default", "j")
	readFrames(conn)
	waitUntil(t, "the connection no longer counts", func() bool { return strings.Contains(ask(), " 200 ") })
}
