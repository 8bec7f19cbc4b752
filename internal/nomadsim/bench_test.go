package nomadsim

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"
)

// bigCluster is a cluster of many teams, with ten allocations for each job.
func bigCluster(jobs int) *Cluster {
	c := New()
	for i := range 20 {
		c.AddNode(Node{Name: fmt.Sprintf("node-%d", i)})
	}
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for i := range jobs {
		c.AddJob(Job{
			ID: fmt.Sprintf("p-team%d-job%d", i%50, i), Submitted: at, Deployment: successful, Groups: []Group{{Count: 10}},
		})
	}
	return c
}

func BenchmarkAddJob_5000Jobs(b *testing.B) {
	for b.Loop() {
		bigCluster(5000)
	}
}

func BenchmarkList_50000Allocations(b *testing.B) {
	c := bigCluster(5000)
	for name, path := range map[string]string{
		"all":       "/v1/allocations",
		"nostates":  "/v1/allocations?task_states=false",
		"one team":  "/v1/allocations?filter=JobID+matches+%22%5Ep-team7-%22",
		"one page":  "/v1/allocations?per_page=100",
		"all jobs":  "/v1/jobs",
		"team jobs": "/v1/jobs?prefix=p-team7-",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				c.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				if w.Code != 200 {
					b.Fatalf("status: got %d, want 200", w.Code)
				}
				b.ReportMetric(float64(w.Body.Len()), "bytes")
			}
		})
	}
}
