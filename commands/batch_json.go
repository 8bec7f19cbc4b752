package commands

import (
	"cmp"
	"time"

	"nomadctld/backends"
)

// Scripts read the fields of batch --json. Fields may be added but never renamed.
type (
	batchOutput struct {
		Jobs []batchJob `json:"jobs" doc:"sorted by ID, tier and namespace"`
	}
	batchJob struct {
		Tier          string     `json:"tier"`
		Namespace     string     `json:"namespace"`
		Job           string     `json:"job" doc:"the job's ID"`
		Parameterized bool       `json:"parameterized"`
		Disabled      bool       `json:"disabled" doc:"the job is stopped, or its schedule is disabled"`
		Next          *time.Time `json:"next" doc:"the next run; null: none"`
		Cron          []string   `json:"cron"`
		TimeZone      string     `json:"time_zone"`
		MetaRequired  []string   `json:"meta_required"`
		MetaOptional  []string   `json:"meta_optional"`
		Payload       string     `json:"payload" doc:"optional, required, forbidden; empty for a periodic job"`
		LastLaunch    *time.Time `json:"last_launch" doc:"when the latest child job was submitted; null: none"`
		LastOutcome   string     `json:"last_outcome" doc:"complete, failed, lost, stopped, running, pending or unknown"`
	}
)

func batchJSON(jobs []backends.Job, schedules []backends.Schedule, last map[backends.JobRef]*backends.Job) batchOutput {
	out := batchOutput{Jobs: []batchJob{}}
	for i, job := range jobs {
		s := schedules[i]
		one := batchJob{
			Tier: job.Tier, Namespace: job.Namespace, Job: job.ID, Parameterized: s.Parameterized,
			Disabled: s.Disabled || job.Stopped,
			Cron:     append([]string{}, s.Specs...), TimeZone: cmp.Or(s.TimeZone, "UTC"),
			MetaRequired: append([]string{}, s.MetaRequired...), MetaOptional: append([]string{}, s.MetaOptional...),
			Payload: s.Payload,
		}
		if !s.Next.IsZero() {
			one.Next = &s.Next
		}
		if child := last[keyOf(job)]; child != nil {
			one.LastLaunch, one.LastOutcome = &child.Submitted, childState(child)
		}
		out.Jobs = append(out.Jobs, one)
	}
	return out
}
