package nomadtest

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestLogs_SameOnEveryCluster(t *testing.T) {
	forEachCluster(t, func(t *testing.T, cluster Cluster, client *api.Client) {
		talker, once, crash := allocationOf(t, client, "p-team3-talker"), allocationOf(t, client, "p-team3-finished"),
			allocationOf(t, client, "p-team3-crashed")
		var out strings.Builder
		for i := range 150 {
			fmt.Fprintln(&out, "out", i+1)
		}
		for _, test := range []struct {
			a      *api.Allocation
			query  string
			status int
			want   string
		}{
			{talker, "task=talk&type=stdout", 200, out.String()},
			{talker, "task=talk&type=stderr", 200, strings.ReplaceAll(out.String(), "out", "err")},
			{talker, "task=talk&type=stdout&offset=8&origin=end", 200, "out 150\n"},
			{talker, "task=talk&type=stdout&offset=1000", 200, out.String()[1000:]},
			{once, "task=once&type=stdout", 200, "hello from once\n"},
			{once, "task=once&type=stderr", 200, "bye\n"},
			{once, "task=once&type=stdout&offset=6", 200, "from once\n"},
			{once, "task=once&type=stdout&offset=600", 200, ""},
			{once, "task=once&type=stdout&offset=-5", 200, "once\n"},
			{once, "task=once&type=stdout&offset=600&origin=end", 200, "hello from once\n"},
			{once, "task=once&type=stdout&origin=end", 200, "hello from once\n"},
			{crash, "task=crash&type=stdout", 200, "attempt\nattempt\n"},
			{crash, "task=crash&type=stderr", 200, ""},
			{once, "task=nope&type=stdout", 400, `unknown task name "nope"`},
			{once, "type=stdout", 400, "must provide task name"},
			{once, "task=once", 400, "must provide log type (stdout/stderr)"},
			{once, "task=once&type=stdout&origin=middle", 400, "origin must be start or end"},
			{once, "task=once&type=stdout&offset=x", 400, `error parsing offset: strconv.ParseInt: parsing "x": invalid syntax`},
			{
				once, "task=once&type=stdout&follow=x", 400,
				`failed to parse follow field to boolean: strconv.ParseBool: parsing "x": invalid syntax`,
			},
			{
				&api.Allocation{ID: "00000000-1111-2222-3333-444444444444"}, "task=once&type=stdout", 404,
				`Unknown allocation "00000000-1111-2222-3333-444444444444"`,
			},
			{
				&api.Allocation{ID: "x"}, "task=once&type=stdout", 500,
				"alloc lookup failed: index error: UUID must be 36 characters",
			},
		} {
			status, body := get(t, cluster, Token,
				"/v1/client/fs/logs/"+test.a.ID+"?plain=true&"+test.query)
			if status != test.status || body != test.want {
				t.Errorf("%s: got %d %q, want %d %q", test.query, status, body, test.status, test.want)
			}
		}
		logs := "/v1/client/fs/logs/" + once.ID + "?task=once&type=stdout"
		_, body := get(t, cluster, Token,
			logs)
		if body != `{"Data":"aGVsbG8gZnJvbSBvbmNlCg==","File":"alloc/logs/once.stdout.0","Offset":16}` {
			t.Errorf("frames: got %s", body)
		}
		for token, want := range map[string]int{
			"": 403, "11111111-1111-2222-3333-444444444444": 500, limitedToken(t, cluster, "read-job"): 403,
			limitedToken(t, cluster, "read-logs"): 200,
		} {
			status, body := get(t, cluster, token, logs)
			if old := want == 403 && cluster.OlderThan(t, 2, 0); old && status == 500 {
				continue // Nomad 1.6 and 1.10 refuse with the wrong status
			}
			if status != want {
				t.Errorf("token %s: got %d %s, want %d", token, status, body, want)
			}
		}
	})
}

func TestLogs_SameFollowFrames(t *testing.T) {
	forEachCluster(t, func(t *testing.T, cluster Cluster, client *api.Client) {
		for _, test := range []struct{ job, task, want string }{
			{"p-team3-talker", "talk", `{"Data":"IDE1MAo=","File":"alloc/logs/talk.stdout.0","Offset":1092}{}{}`},
			{"p-team3-finished", "once", `{"Data":"b25jZQo=","File":"alloc/logs/once.stdout.0","Offset":16}{}{}`},
		} {
			path := "/v1/client/fs/logs/" + allocationOf(t, client, test.job).ID +
				"?follow=true&origin=end&offset=5&type=stdout&task=" + test.task
			got := make([]byte, len(test.want))
			resp := ask(t, cluster, Token, path)
			_, err := io.ReadFull(resp.Body, got)
			resp.Body.Close()
			if err != nil || string(got) != test.want {
				t.Errorf("%s: got %s, %v, want %s", test.job, got, err, test.want)
			}
		}
	})
}

func TestFiles_SameOnEveryCluster(t *testing.T) {
	forEachCluster(t, func(t *testing.T, cluster Cluster, client *api.Client) {
		once := allocationOf(t, client, "p-team3-finished")
		files, _, err := client.AllocFS().List(once, "alloc/logs", nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range files {
			if !strings.HasPrefix(f.Name, ".") {
				got = append(got, fmt.Sprint(f.Name, " ", f.Size))
			}
		}
		if want := "[once.stderr.0 4 once.stdout.0 16]"; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
		info, _, err := client.AllocFS().Stat(once, "alloc/logs/once.stdout.0", nil)
		if err != nil || info.Size != 16 || info.ContentType != "text/plain; charset=utf-8" {
			t.Errorf("got %+v, %v, want 16 bytes of text", info, err)
		}
		logsOnly := limitedToken(t, cluster, "read-logs")
		for _, test := range []struct {
			token, path string
			status      int
			end         string
		}{
			{Token, "ls/" + once.ID + "?path=nope", 404, "/nope: no such file or directory"},
			{Token, "stat/" + once.ID + "?path=nope", 404, "/nope: no such file or directory"},
			{Token, "ls/" + once.ID + "?path=" + url.QueryEscape("../.."), 500, "Path escapes the alloc directory"},
			{Token, "ls/" + once.ID + "?path=alloc/logs/once.stdout.0", 500, ": not a directory"},
			{Token, "stat/" + once.ID, 400, "must provide a file name"},
			{Token, "cat/" + once.ID + "?path=alloc/logs/once.stdout.0", 200, "hello from once\n"},
			{Token, "cat/" + once.ID + "?path=nope", 200, "/nope: no such file or directory"},
			{Token, "cat/" + once.ID + "?path=alloc", 200, `file "alloc" is a directory`},
			{Token, "readat/" + once.ID + "?path=alloc/logs/once.stdout.0&offset=2&limit=3", 200, "llo"},
			{logsOnly, "ls/" + once.ID, 403, "Permission denied"},
			{logsOnly, "stat/" + once.ID + "?path=alloc", 403, "Permission denied"},
			{"11111111-1111-2222-3333-444444444444", "ls/" + once.ID, 403, "Permission denied"},
		} {
			if status, body := get(t, cluster, test.token, "/v1/client/fs/"+test.path); status != test.status ||
				!strings.HasSuffix(body, test.end) {
				t.Errorf("%s: got %d %s, want %d %s", test.path, status, body, test.status, test.end)
			}
		}
	})
}
