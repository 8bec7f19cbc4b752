package nomadtest

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestExec_SameOnEveryCluster(t *testing.T) {
	forEachCluster(t, func(t *testing.T, cluster Cluster, client *api.Client) {
		box := allocationOf(t, client, "p-team3-shell")
		for _, test := range []struct {
			name, stdin    string
			tty            bool
			command        []string
			code           int
			stdout, stderr string
			err            string
		}{
			{
				name: "streams", stdin: "hello\n", command: []string{"/bin/sh", "-c", "cat; echo oops >&2; exit 7"}, code: 7,
				stdout: "hello\n", stderr: "oops\n",
			},
			{name: "success", command: []string{"true"}},
			{
				name: "environment",
				command: []string{
					"/bin/sh", "-c", "echo $NOMAD_TASK_NAME $NOMAD_JOB_NAME $NOMAD_ALLOC_INDEX $NOMAD_ALLOC_ID; basename $PWD",
				},
				stdout: "box p-team3-shell 0 " + box.ID + "\nbox\n",
			},
			{
				name: "much", command: []string{"/bin/sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"},
				stdout: strings.Repeat("x", 300000),
			},
			{name: "signal", command: []string{"/bin/sh", "-c", "kill -9 $$"}, code: 137},
			{
				name: "terminal", tty: true, command: []string{"/bin/sh", "-c", "test -t 0 && echo yes; kill -15 $$"}, code: 143,
				stdout: "yes\r\n",
			},
			{
				name: "size", tty: true,
				command: []string{"/bin/sh", "-c", "while [ \"$(stty size)\" = '0 0' ]; do sleep 0.05; done; stty size"},
				stdout:  "31 97\r\n",
			},
			{
				name: "terminal input", tty: true, stdin: "abc\n", command: []string{"/bin/sh", "-c", "read x; echo got $x"},
				stdout: "abc\r\ngot abc\r\n",
			},
			{
				name: "missing", command: []string{"/nope"}, code: -2,
				err: "rpc error: code = Unknown desc = failed to start command: fork/exec /nope: no such file or directory",
			},
			{
				name: "missing on PATH", command: []string{"nope-nope"}, code: -2,
				err: "rpc error: code = Unknown desc = failed to start command: " +
					`exec: "nope-nope": executable file not found in $PATH`,
			},
			{
				name: "missing on a terminal", tty: true, command: []string{"/nope"}, code: -2,
				err: "rpc error: code = Unknown desc = failed to start command: fork/exec /nope: no such file or directory",
			},
			{
				name: "no program", command: []string{"/etc/passwd"}, code: -2,
				err: "rpc error: code = Unknown desc = failed to start command: fork/exec /etc/passwd: permission denied",
			},
			{name: "nothing", code: -2, err: "command is not present"},
		} {
			t.Run(test.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				command := append([]string{}, test.command...)
				sizes := make(chan api.TerminalSize, 1)
				var stdin io.Reader = strings.NewReader(test.stdin)
				if test.tty {
					sizes <- api.TerminalSize{Height: 31, Width: 97}
					stdin = io.MultiReader(stdin, openInput(ctx))
				} else if test.err != "" {
					stdin = openInput(ctx) // see openInput
				}
				var stdout, stderr strings.Builder
				code, err := client.Allocations().Exec(ctx, box, "box", test.tty, command, stdin, &stdout, &stderr, sizes, nil)
				if test.name == "environment" && cluster.OlderThan(t, 1, 10) && strings.HasSuffix(stdout.String(), "\n/\n") {
					test.stdout = strings.TrimSuffix(test.stdout, "box\n") + "/\n" // Nomad 1.6 starts programs in the root directory
				}
				if code != test.code || stdout.String() != test.stdout || stderr.String() != test.stderr ||
					errorText(err) != test.err {
					t.Errorf("got %d, %.200q, %q, %v, want %d, %.200q, %q, %s", code, stdout.String(), stderr.String(), err,
						test.code, test.stdout, test.stderr, test.err)
				}
			})
		}
	})
}

// openInput returns an input without data, which ends with ctx. Tests of refused execs need it, too: input that is
// sent at the same time as a refusal can make a real Nomad drop the message.
func openInput(ctx context.Context) io.Reader {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.Close() })
	return r
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestExec_SameErrors(t *testing.T) {
	forEachCluster(t, func(t *testing.T, cluster Cluster, client *api.Client) {
		box := allocationOf(t, client, "p-team3-shell")
		unknown := &api.Allocation{ID: "00000000-1111-2222-3333-444444444444", NodeID: box.NodeID}
		limited, withoutExec := limitedToken(t, cluster, "alloc-exec", "read-job"), limitedToken(t, cluster, "read-job")
		for _, test := range []struct {
			name, token, task string
			a                 *api.Allocation
			want              string
		}{
			{"unknown task", Token, "nope", box, "task not found"},
			{"no task", Token, "", box, "must provide task name"},
			{"ended", Token, "once", allocationOf(t, client, "p-team3-finished"), `task "once" is not running.`},
			{"failed", Token, "crash", allocationOf(t, client, "p-team3-crashed"), `task "crash" is not running.`},
			{"unknown allocation", Token, "box", unknown, `Unknown allocation "00000000-1111-2222-3333-444444444444"`},
			{"no right", withoutExec, "box", box, "Permission denied"},
			{"no right on the node", limited, "box", box, "Permission denied"},
			{"unknown token", "11111111-1111-2222-3333-444444444444", "box", box, "rpc error: Permission denied"},
			{"no token", "", "box", box, "Permission denied"},
		} {
			c, err := api.NewClient(&api.Config{Address: cluster.URL, SecretID: test.token})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, err = c.Allocations().Exec(ctx, test.a, test.task, false, []string{"true"}, openInput(ctx), io.Discard,
				io.Discard, nil, nil)
			cancel()
			if errorText(err) != test.want {
				t.Errorf("%s: got %v, want %s", test.name, err, test.want)
			}
		}
	})
}
