package tasklog

import (
	"testing"
	"time"

	"nomadctld/backends"
)

func TestPreviousTask_SameNode(t *testing.T) {
	now := time.Now()
	at := func(id, name, node string, age time.Duration) backends.Allocation {
		return backends.Allocation{
			ID: id, Name: name, NodeID: node, JobType: "system",
			Created: now.Add(-age), Tasks: []backends.Task{{Name: "t"}},
		}
	}
	job := backends.Job{Allocations: []backends.Allocation{
		at("b2", "sys.g[0]", "b", time.Minute), at("a1", "sys.g[0]", "a", 2*time.Minute),
		at("b1", "sys.g[0]", "b", time.Hour),
	}}
	newest := Task{job.Allocations[0], job.Allocations[0].Tasks[0]}
	if before, ok := newest.previousTask(job); !ok || before.ID != "b1" {
		t.Errorf("of a system job: got %s, want b1, on the same node", before.ID)
	}
	for i := range job.Allocations {
		job.Allocations[i].JobType = "service"
	}
	newest.JobType = "service"
	if before, ok := newest.previousTask(job); !ok || before.ID != "a1" {
		t.Errorf("of a service: got %s, want a1", before.ID)
	}
}
