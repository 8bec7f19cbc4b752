package tasklog

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

// childCluster is a cluster with the job import and the child jobs whose time has come.
type childCluster struct {
	backends.Cluster
	start    time.Time
	stops    time.Duration // when import is stopped
	children []childJob
}

// childJob is a child job that starts and finishes at these times after the start of the test.
type childJob struct {
	id               string
	starts, finishes time.Duration
}

func (c *childCluster) Jobs(context.Context, backends.Selection) (jobs []backends.Job, err error) {
	jobs = append(jobs, backends.Job{ID: "other/periodic-9", Parent: "other"})
	for i, child := range c.children {
		if time.Since(c.start) < child.starts {
			continue
		}
		job := jobOf("running", newTask(byte(i), backends.StateRunning))
		if time.Since(c.start) >= child.finishes {
			job = jobOf("dead", newTask(byte(i), backends.StateDead))
		}
		job.ID, job.Parent = child.id, "import"
		for i := range job.Allocations {
			a := &job.Allocations[i]
			a.JobID, a.Root, a.Name = child.id, "import", child.id+"."+strings.TrimPrefix(a.Name, "web.")
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

func (c *childCluster) Job(ctx context.Context, job backends.Job) (backends.JobDetail, error) {
	if job.ID == "import" {
		return backends.JobDetail{Job: backends.Job{ID: "import", Stopped: time.Since(c.start) >= c.stops}}, nil
	}
	jobs, _ := c.Jobs(ctx, backends.Selection{})
	for _, j := range jobs {
		if j.ID == job.ID {
			return backends.JobDetail{Job: j}, nil
		}
	}
	return backends.JobDetail{}, backends.ErrNotFound
}

// followImport follows the child jobs of import. The log of each has a line every 10 seconds while it runs.
func followImport(t *testing.T, all bool, children ...childJob) (*output, error) {
	t.Helper()
	logs := map[string]*fakeLog{}
	for i, c := range children {
		read := []readFunc{lines(c.id[len(c.id)-1:] + " old\n"), caughtUp(fmt.Sprint("c", i))}
		for n := range (c.finishes - c.starts) / (10 * time.Second) {
			read = append(read, pause(10*time.Second), lines(fmt.Sprintf("%s %d\n", c.id[len(c.id)-1:], n+1)))
		}
		logs[fmt.Sprint("e", i)] = logOf(steps(read...), noNext)
	}
	view, out := newView(backends.Job{ID: "import", Parameterized: true}, nil, logs)
	view.Children = all
	err := view.Follow(t.Context(), &childCluster{start: time.Now(), stops: time.Minute, children: children})
	for i, c := range children {
		want := -1 // a child job that starts later is printed from its first line
		if c.starts == 0 {
			want = view.Query.Lines
		}
		for n, q := range logs[fmt.Sprint("e", i)].queries {
			if n == 0 && q.Lines != want {
				t.Errorf("%s: read %d lines, want %d", c.id, q.Lines, want)
			}
		}
	}
	return out, err
}

func TestFollow_NewestChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, err := followImport(t, false,
			childJob{"import/dispatch-90-a", 0, 35 * time.Second},
			childJob{"import/dispatch-100-b", 0, 31 * time.Second}, // is newer
			childJob{"import/dispatch-101-c", 12 * time.Second, 33 * time.Second},
		)
		if err != nil {
			t.Error(err)
		}
		out.check(t,
			"web[1]/nginx | b old\nweb[1]/nginx | b 1\nweb[2]/nginx | c old\nweb[2]/nginx | c 1\nweb[2]/nginx | c 2\n",
			"nomadctld: following import/dispatch-100-b\n"+
				"nomadctld: following import/dispatch-101-c, and no longer import/dispatch-100-b "+
				"(to follow all: tail --children import)\n"+
				"nomadctld: nginx of import/dispatch-101-c.web[2] has finished at 1970-01-01T00:33:20Z with exit code 3\n")
	})
}

func TestFollow_AllChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, err := followImport(t, true,
			childJob{"import/dispatch-80-f", 0, 0}, // has finished
			childJob{"import/dispatch-90-a", 0, 25 * time.Second},
			childJob{"import/dispatch-100-b", 13 * time.Second, 36 * time.Second},
		)
		if err != nil {
			t.Error(err)
		}
		want := "dispatch-90-a/web[1]/nginx | a old\ndispatch-90-a/web[1]/nginx | a 1\n" +
			"dispatch-100-b/web[2]/nginx | b old\ndispatch-90-a/web[1]/nginx | a 2\n" +
			"dispatch-100-b/web[2]/nginx | b 1\ndispatch-100-b/web[2]/nginx | b 2\n"
		if got := out.stdout.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := out.stderr.String(); strings.Count(got, "following") != 2 || strings.Count(got, "has finished") != 2 {
			t.Errorf("got %s", got)
		}
	})
}

func TestFollow_SkippedChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, err := followImport(t, false,
			childJob{"import/periodic-90", 11 * time.Second, 20 * time.Second},
			childJob{"import/periodic-91", 12 * time.Second, 20 * time.Second},
		)
		if err != nil {
			t.Error(err)
		}
		want := "nomadctld: import has no child jobs; waiting for one\nnomadctld: skipped import/periodic-90, " +
			"because a newer child job has started (see: logs import/periodic-90)\n" +
			"nomadctld: following import/periodic-91\n"
		if !strings.HasPrefix(out.stderr.String(), want) {
			t.Errorf("got %q", &out.stderr)
		}
	})
}

func TestNewestChild(t *testing.T) {
	c := &childCluster{start: time.Now(), children: []childJob{
		{"import/dispatch-100-a", 0, 0}, {"import/dispatch-99-b", 0, time.Hour},
	}}
	got, err := NewestChild(t.Context(), c, backends.Job{ID: "import"})
	if err != nil || got.ID != "import/dispatch-100-a" {
		t.Errorf("got %s, %v", got.ID, err)
	}
	c.children = nil
	_, err = NewestChild(t.Context(), c, backends.Job{ID: "import"})
	if err == nil || err.Error() != "import has no child jobs with a log (see: status import)" {
		t.Errorf("got %v", err)
	}
}
