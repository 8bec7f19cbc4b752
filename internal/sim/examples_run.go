package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// addJob puts a job into the cluster whose tasks, once they run, have something to say.
func (e examples) addJob(j Job) {
	if len(j.Groups) == 0 {
		j.Groups = []Group{{}}
	}
	for i := range j.Groups {
		g := &j.Groups[i]
		g.Name = cmp.Or(g.Name, "main")
		if g.Tasks = slices.Clone(g.Tasks); len(g.Tasks) == 0 {
			g.Tasks = []Task{{Name: g.Name}}
		}
		for k := range g.Tasks {
			t := &g.Tasks[k]
			t.complete() // so that inspecting the job does not show the command
			t.Command = []string{"/bin/sh", "-c", exampleScript, t.Name, fmt.Sprint(2 + (len(j.ID)+k)%4)}
		}
	}
	e.c.Run(j)
}

// exampleScript is what the tasks of the examples run: a line every few seconds, now and then a warning. It starts no program
// but sleep, so that dozens of them cost next to nothing. $1 is how long it sleeps.
const exampleScript = `n=0
echo "level=info msg=\"starting\" task=$0 allocation=$NOMAD_SHORT_ALLOC_ID"
echo "level=info msg=\"listening\" address=0.0.0.0:8080"
while :; do
	n=$((n + 1))
	case $((n % 5)) in
	0) echo "level=warn msg=\"slow query\" request=$n duration=$((n * 37 % 900 + 1000))ms" >&2 ;;
	1) echo "level=info msg=\"GET /health\" request=$n status=200 duration=$((n * 13 % 7 + 1))ms" ;;
	*) echo "level=info msg=\"GET /api/items/$((n * 7919 % 1000))\" request=$n status=200 duration=$((n * 31 % 83 + 2))ms" ;;
	esac
	test $n -lt 20 || sleep $1
done`

// RunTasks starts the tasks of a cluster that Examples returned, as processes on this machine, and lets those that have
// ended have said something.
func (c *Cluster) RunTasks() {
	c.mu.Lock()
	c.processesOff = false
	c.syncProcesses(c.allocations)
	all := slices.Clone(c.allocations)
	c.mu.Unlock()
	for _, a := range all {
		for _, t := range a.group.Tasks {
			if s := a.TaskStates[t.Name]; s.State == "dead" && s.StartedAt != nil {
				out, err := exitedTaskLog(t, s)
				c.Log(a.ID, t.Name, "stdout", []byte(out))
				c.Log(a.ID, t.Name, "stderr", []byte(err))
			}
		}
	}
}

// exitedTaskLog is what a task that has ended wrote: as much as its events tell.
func exitedTaskLog(t Task, s *taskState) (stdout, stderr string) {
	var out, err strings.Builder
	for _, e := range s.Events {
		at := time.Unix(0, e.Time).UTC().Format(time.RFC3339)
		switch {
		case e.Type == "Started":
			fmt.Fprintf(&out, "%s level=info msg=\"starting\" task=%s\n%[1]s level=info msg=\"working\" batch=1\n", at, t.Name)
		case e.Type == "Terminated" && e.ExitCode == 0:
			fmt.Fprintf(&out, "%s level=info msg=\"done\"\n", at)
		case e.Type == "Terminated":
			fmt.Fprintf(&err, "%s level=error msg=\"giving up\" code=%d\n", at, e.ExitCode)
		}
	}
	return out.String(), err.String()
}
