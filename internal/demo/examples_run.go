package demo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"nomadctld/internal/nomadsim"
)

// addJob adds a job whose tasks write example logs when they run.
func (e examples) addJob(j nomadsim.Job) {
	if len(j.Groups) == 0 {
		j.Groups = []nomadsim.Group{{}}
	}
	for i := range j.Groups {
		g := &j.Groups[i]
		g.Name = cmp.Or(g.Name, "main")
		if g.Tasks = slices.Clone(g.Tasks); len(g.Tasks) == 0 {
			g.Tasks = []nomadsim.Task{{Name: g.Name}}
		}
		for k := range g.Tasks {
			t := &g.Tasks[k]
			if t.Driver != "" && t.Config == nil { // otherwise the definition would contain Command
				t.Config = map[string]any{"command": "/usr/bin/" + t.Name}
			}
			t.Command = []string{"/bin/sh", "-c", exampleScript, t.Name, fmt.Sprint(2 + (len(j.ID)+k)%4)}
		}
	}
	e.c.AddJob(j)
}

// exampleScript is the program of the example tasks. It writes a line every few seconds, and sometimes a warning. It
// starts no program except sleep, so that dozens of tasks cost almost nothing. $1 is the sleep time.
const exampleScript = `n=0
echo "level=info msg=\"starting\" task=$0 allocation=$NOMAD_SHORT_ALLOC_ID"
echo "level=info msg=\"listening\" address=0.0.0.0:8080"
while :; do
	n=$((n + 1))
	case $((n % 5)) in
	0) echo "level=warn msg=\"slow query\" request=$n duration=$((n * 37 % 900 + 1000))ms" >&2 ;;
	1) echo "level=info msg=\"GET /health\" request=$n status=200 duration=$((n * 13 % 7 + 1))ms" ;;
	*)
		item=$((n * 7919 % 1000))
		echo "level=info msg=\"GET /api/items/$item\" request=$n status=200 duration=$((n * 31 % 83 + 2))ms"
		;;
	esac
	test $n -lt 20 || sleep $1
done`

// runTasks starts processes on this machine for the tasks of an example cluster. It also writes logs for the tasks that
// have exited.
func runTasks(c *nomadsim.Cluster) {
	for _, exited := range c.StartDelayedTasks() {
		out, err := exitedTaskLog(exited.Task, exited.Events)
		c.Log(exited.Allocation, exited.Task, "stdout", []byte(out))
		c.Log(exited.Allocation, exited.Task, "stderr", []byte(err))
	}
}

// exitedTaskLog returns a log for a task that has exited, according to its events.
func exitedTaskLog(task string, events []nomadsim.Event) (stdout, stderr string) {
	var out, err strings.Builder
	for _, e := range events {
		at := time.Unix(0, e.Time).UTC().Format(time.RFC3339)
		switch {
		case e.Type == "Started":
			fmt.Fprintf(&out, "%s level=info msg=\"starting\" task=%s\n%[1]s level=info msg=\"working\" batch=1\n", at, task)
		case e.Type == "Terminated" && e.ExitCode == 0:
			fmt.Fprintf(&out, "%s level=info msg=\"done\"\n", at)
		case e.Type == "Terminated":
			fmt.Fprintf(&err, "%s level=error msg=\"giving up\" code=%d\n", at, e.ExitCode)
		}
	}
	return out.String(), err.String()
}
