package sim

import (
	"fmt"
	"time"
)

// productionBatch runs what is launched by a plan or by a dispatch, and the launches that Nomad still knows.
func (e examples) productionBatch() {
	e.batch(Job{
		ID: "p-es-log-curator", Submitted: e.ago(12 * week),
		Periodic: &Periodic{Specs: []string{"52 6,15,18 * * * *"}, ProhibitOverlap: true},
	})
	e.launched("p-es-log-curator", e.last(6*time.Hour+52*time.Minute, 15*time.Hour+52*time.Minute, 18*time.Hour+52*time.Minute), "complete")

	e.batch(Job{
		ID: "p-iss-frontend-sync", Submitted: e.ago(9 * week),
		Periodic: &Periodic{Spec: "11/15 * * * * *", TimeZone: "Europe/Brussels"},
	})
	at := e.ago(11 * time.Minute).Truncate(15 * time.Minute).Add(11 * time.Minute)
	e.launched("p-iss-frontend-sync", at.Add(-15*time.Minute), "complete")
	e.launched("p-iss-frontend-sync", at, "failed")

	e.batch(Job{
		ID: "p-team1-report", Submitted: e.ago(5 * week),
		Periodic: &Periodic{Specs: []string{"0 6 * * 1-5", "30 11 * * 6"}, TimeZone: "Europe/Brussels"},
	})
	e.batch(Job{ID: "p-team1-cleanup", Submitted: e.ago(3 * week), Periodic: &Periodic{Spec: "30 2 * * *", Disabled: true}})

	e.batch(Job{ID: "p-team1-import", Submitted: e.ago(2 * week), Parameterized: imports()})
	e.dispatched("p-team1-import", "a.csv", "2c5e0a91", e.ago(26*time.Hour), "complete")
	e.dispatched("p-team1-import", "b.csv", "9d417be3", e.ago(50*time.Minute), "failed")
}

func (e examples) testBatch() {
	e.batch(Job{ID: "t-team2-import", Submitted: e.ago(week), Parameterized: imports()})
	e.dispatched("t-team2-import", "a.csv", "fcf70557", e.ago(2*time.Hour), "complete")
	e.dispatched("t-team2-import", "b.csv", "51b02dd8", e.ago(time.Hour), "failed")
}

func imports() *Parameterized {
	return &Parameterized{Payload: "optional", MetaRequired: []string{"file"}, MetaOptional: []string{"mode"}}
}

func (e examples) batch(j Job) {
	j.Type = "batch"
	e.run(j)
}

// launched runs a child of a periodic job, which began at and took a while.
func (e examples) launched(parent string, at time.Time, status string) {
	e.batch(Job{
		ID: fmt.Sprintf("%s/periodic-%d", parent, at.Unix()), ParentID: parent, Submitted: at,
		Groups: []Group{{Allocations: []Allocation{{ClientStatus: status, Modified: at.Add(42 * time.Second)}}}},
	})
}

// dispatched runs a child of a parameterized job.
func (e examples) dispatched(parent, file, id string, at time.Time, status string) {
	e.batch(Job{
		ID: fmt.Sprintf("%s/dispatch-%d-%s", parent, at.Unix(), id), ParentID: parent, Submitted: at,
		Parameterized: imports(), Meta: map[string]string{"file": file},
		Groups: []Group{{Allocations: []Allocation{{ClientStatus: status, Modified: at.Add(3 * time.Second)}}}},
	})
}

// last returns when it was one of these times of the day, in UTC, for the last time.
func (e examples) last(times ...time.Duration) (latest time.Time) {
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
