package demo

import (
	"fmt"
	"time"

	"nomadctld/internal/nomadsim"
)

// addProductionBatch adds periodic and parameterized jobs, and those of their children that are not yet
// garbage-collected.
func (e examples) addProductionBatch() {
	e.addBatch(nomadsim.Job{
		ID: "p-es-log-curator", Submitted: e.ago(12 * week),
		Periodic: &nomadsim.Periodic{Specs: []string{"52 6,15,18 * * * *"}, ProhibitOverlap: true},
	})
	e.addPeriodicRun("p-es-log-curator",
		e.lastTime(6*time.Hour+52*time.Minute, 15*time.Hour+52*time.Minute, 18*time.Hour+52*time.Minute), "complete")

	e.addBatch(nomadsim.Job{
		ID: "p-iss-frontend-sync", Submitted: e.ago(9 * week),
		Periodic: &nomadsim.Periodic{Spec: "11/15 * * * * *", TimeZone: "Europe/Brussels"},
	})
	at := e.ago(11 * time.Minute).Truncate(15 * time.Minute).Add(11 * time.Minute)
	e.addPeriodicRun("p-iss-frontend-sync", at.Add(-15*time.Minute), "complete")
	e.addPeriodicRun("p-iss-frontend-sync", at, "failed")

	e.addBatch(nomadsim.Job{
		ID: "p-team1-report", Submitted: e.ago(5 * week),
		Periodic: &nomadsim.Periodic{Specs: []string{"0 6 * * 1-5", "30 11 * * 6"}, TimeZone: "Europe/Brussels"},
	})
	e.addBatch(nomadsim.Job{
		ID: "p-team1-cleanup", Submitted: e.ago(3 * week), Periodic: &nomadsim.Periodic{Spec: "30 2 * * *", Disabled: true},
	})

	e.addBatch(nomadsim.Job{ID: "p-team1-import", Submitted: e.ago(2 * week), Parameterized: importJob()})
	e.addDispatch("p-team1-import", "a.csv", "2c5e0a91", e.ago(26*time.Hour), "complete")
	e.addDispatch("p-team1-import", "b.csv", "9d417be3", e.ago(50*time.Minute), "failed")
}

func (e examples) addTestBatch() {
	e.addBatch(nomadsim.Job{ID: "t-team2-import", Submitted: e.ago(week), Parameterized: importJob()})
	e.addDispatch("t-team2-import", "a.csv", "fcf70557", e.ago(2*time.Hour), "complete")
	e.addDispatch("t-team2-import", "b.csv", "51b02dd8", e.ago(time.Hour), "failed")
}

func importJob() *nomadsim.Parameterized {
	return &nomadsim.Parameterized{Payload: "optional", MetaRequired: []string{"file"}, MetaOptional: []string{"mode"}}
}

func (e examples) addBatch(j nomadsim.Job) {
	j.Type = "batch"
	e.addJob(j)
}

// addPeriodicRun adds a child of a periodic job that started at the given time.
func (e examples) addPeriodicRun(parent string, at time.Time, status string) {
	e.addBatch(nomadsim.Job{
		ID: fmt.Sprintf("%s/periodic-%d", parent, at.Unix()), ParentID: parent, Submitted: at,
		Groups: []nomadsim.Group{{
			Allocations: []nomadsim.Allocation{{ClientStatus: status, Modified: at.Add(42 * time.Second)}},
		}},
	})
}

// addDispatch adds a child of a parameterized job.
func (e examples) addDispatch(parent, file, id string, at time.Time, status string) {
	e.addBatch(nomadsim.Job{
		ID: fmt.Sprintf("%s/dispatch-%d-%s", parent, at.Unix(), id), ParentID: parent, Submitted: at,
		Parameterized: importJob(), Meta: map[string]string{"file": file},
		Groups: []nomadsim.Group{{
			Allocations: []nomadsim.Allocation{{ClientStatus: status, Modified: at.Add(3 * time.Second)}},
		}},
	})
}

// lastTime returns the most recent of these times of the day, in UTC.
func (e examples) lastTime(times ...time.Duration) (latest time.Time) {
	today := e.now.UTC().Truncate(day)
	for _, t := range times {
		at := today.Add(t)
		if at.After(e.now) {
			at = at.Add(-day)
		}
		if at.After(latest) {
			latest = at
		}
	}
	return latest
}
