package commands

import (
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/render"
)

func TestBatch_Terminal(t *testing.T) {
	now := time.Date(2026, 12, 1, 4, 0, 0, 0, time.UTC)
	jobs := []backends.Job{
		{ID: "p-team1-nightly-import-of-the-catalog"}, {ID: "p-team1-import"}, {ID: "p-x", Stopped: true},
	}
	for i := range jobs {
		jobs[i].Namespace = "default"
	}
	schedules := []backends.Schedule{
		{Specs: []string{"0 3 * * *"}, TimeZone: "Europe/Berlin", Next: now.Add(21*time.Hour + 5*time.Minute)},
		{Parameterized: true, MetaRequired: []string{"file"}, MetaOptional: []string{"mode", "priority"}},
		{Specs: []string{"@daily"}},
	}
	last := map[backends.JobRef]*backends.Job{
		keyOf(jobs[0]): {Status: "dead", Submitted: now.Add(-7 * time.Minute)},
	}
	for width, want := range map[int]string{
		80: "Job ID                                 Next      Last             Schedule\n" +
			"p-team1-nightly-import-of-the-catalog  in 21h    complete 7m ago  0 3 * * *\n" +
			"                                                                  Europe/Berlin\n" +
			"p-team1-import                         dispatch  -                meta: file\n" +
			"                                                                  [mode]\n" +
			"                                                                  [priority]\n" +
			"p-x                                    stopped   -                @daily\n",
		120: "Job ID                                 Next      At                    Last             Schedule\n" +
			"p-team1-nightly-import-of-the-catalog  in 21h    2026-12-02T01:05:00Z  complete 7m ago  " +
			"0 3 * * * Europe/Berlin\n" +
			"p-team1-import                         dispatch                        -                " +
			"meta: file [mode] [priority]\n" +
			"p-x                                    stopped                         -                @daily\n",
	} {
		var got strings.Builder
		writeBatchTerminal(&got, batchRows(jobs, schedules, last, now), render.Style{Width: width})
		if got.String() != want {
			t.Errorf("%d columns: got\n%swant\n%s", width, got.String(), want)
		}
	}
}
