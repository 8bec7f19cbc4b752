package commands

import (
	"cmp"
	"strings"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/render"
)

// batchRow is a line of batch.
type batchRow struct {
	name   string
	next   string        // the time until the next run, or why there is none
	at     string        // the date of the next run
	wait   string        // the time until the next run in one unit; empty: there is none
	config string        // of the schedule
	last   *backends.Job // the latest child; nil: none
	age    time.Duration // of last
}

func batchRows(
	jobs []backends.Job, schedules []backends.Schedule, last map[backends.JobRef]*backends.Job, now time.Time,
) (rows []batchRow) {
	where := qualifiers(jobs)
	for i, job := range jobs {
		s := schedules[i]
		r := batchRow{
			name:   strings.Join(append([]string{job.ID}, where[i]...), ", "),
			config: scheduleText(s), last: last[keyOf(job)],
		}
		switch {
		case job.Stopped:
			r.next = "stopped"
		case s.Disabled:
			r.next = "disabled"
		case s.Parameterized:
			r.next = "dispatch"
		case !s.Next.IsZero():
			r.next = s.Next.Truncate(time.Second).Sub(now.Truncate(time.Second)).String()
			r.at = s.Next.Format(time.RFC3339)
			r.wait = "in " + jobstate.Age(s.Next.Sub(now))
		}
		if r.last != nil {
			r.age = now.Sub(r.last.Submitted)
		}
		rows = append(rows, r)
	}
	return rows
}

// minBatchDateWidth is the width of a terminal that also shows the date of the next run.
const minBatchDateWidth = 120

func writeBatchTerminal(b *strings.Builder, rows []batchRow, style render.Style) {
	withDate := style.Width == 0 || style.Width >= minBatchDateWidth
	cells := [][]string{{"Job ID", "Next", "Last", "Schedule"}}
	if withDate {
		cells = [][]string{{"Job ID", "Next", "At", "Last", "Schedule"}}
	}
	for _, r := range rows {
		last := "-"
		if r.last != nil {
			last = childState(r.last) + " " + jobstate.Age(r.age) + " ago"
		}
		next := cmp.Or(r.wait, r.next)
		row := []string{r.name, next, last, r.config}
		if withDate {
			row = []string{r.name, next, r.at, last, r.config}
		}
		cells = append(cells, row)
	}
	render.Columns(b, cells, style)
}
