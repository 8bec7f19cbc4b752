package monitor

import (
	"context"
	"testing"

	"nomadctld/backends"
)

func TestDeploymentStatus(t *testing.T) {
	group := func(desired, healthy, canaries int) backends.DeploymentGroup {
		return backends.DeploymentGroup{Desired: desired, Healthy: healthy, Canaries: canaries}
	}
	promoted, auto := group(2, 2, 1), group(2, 1, 1)
	promoted.Promoted, auto.AutoPromote = true, true
	for name, tc := range map[string]struct {
		status  string
		groups  []backends.DeploymentGroup
		message string
		done    bool
		want    string // part of the error
	}{
		"successful":   {"successful", nil, "", true, ""},
		"running":      {"running", []backends.DeploymentGroup{group(2, 1, 0), group(1, 1, 0)}, "2 of 3 healthy", false, ""},
		"blocked":      {"blocked", []backends.DeploymentGroup{group(1, 0, 0)}, "0 of 1 healthy", false, ""},
		"initializing": {"initializing", nil, "0 of 0 healthy", false, ""},
		"canary healthy": {
			"running",
			[]backends.DeploymentGroup{group(2, 1, 1)},
			"", true, "waiting for promotion: 1 canary is healthy (promote it: promote web; fail it: fail web)",
		},
		"canaries healthy": {
			"running",
			[]backends.DeploymentGroup{group(2, 1, 1), group(2, 2, 2)},
			"", true, "waiting for promotion: 3 canaries are healthy",
		},
		"one canary unhealthy": {
			"running",
			[]backends.DeploymentGroup{group(2, 1, 1), group(2, 1, 2)},
			"2 of 4 healthy", false, "",
		},
		"promoted":     {"running", []backends.DeploymentGroup{promoted}, "2 of 2 healthy", false, ""},
		"auto promote": {"running", []backends.DeploymentGroup{auto}, "1 of 2 healthy", false, ""},
		"paused":       {"paused", nil, "", true, "deployment d1d1d1d1 is paused (see: resume web)"},
		"failed":       {"failed", nil, "", true, "deployment d1d1d1d1 of version 3: failed: no progress"},
		"cancelled":    {"cancelled", nil, "", true, "deployment d1d1d1d1 of version 3: cancelled: no progress"},
	} {
		t.Run(name, func(t *testing.T) {
			d := backends.Deployment{
				ID: "d1d1d1d1-0000", Version: 3, Status: tc.status, Description: "no progress", Groups: tc.groups,
			}
			message, done, err := DeploymentStatus(web, d)
			if tc.message != "" {
				tc.message = "deployment d1d1d1d1 of version 3: " + tc.message
			}
			checkStatus(t, message, done, err, tc.message, tc.done, tc.want)
		})
	}
}

// deployments is a cluster with a job that has these deployments, newest first.
type deployments struct {
	backends.Cluster
	all []backends.Deployment
	err error
}

func (d deployments) Deployments(context.Context, backends.Job) ([]backends.Deployment, error) {
	return d.all, d.err
}

func TestActiveDeployment(t *testing.T) {
	of := func(status string) []backends.Deployment {
		return []backends.Deployment{{ID: "d1d1d1d1-0000", Version: 3, Status: status}, {ID: "d0", Status: "running"}}
	}
	for name, tc := range map[string]struct {
		cluster deployments
		want    string
	}{
		"running": {deployments{all: of("running")}, ""},
		"paused":  {deployments{all: of("paused")}, ""},
		"successful": {
			deployments{all: of("successful")},
			"web has no active deployment: the latest, d1d1d1d1 of version 3, is successful (see: deployment web)",
		},
		"none":      {deployments{}, "web has no deployments"},
		"not found": {deployments{err: backends.ErrNotFound}, "job web: not found in Nomad"},
	} {
		d, err := ActiveDeployment(t.Context(), tc.cluster, web)
		if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want || err == nil && d.ID != "d1d1d1d1-0000" {
			t.Errorf("%s: got %s, %v, want %q", name, d.ID, err, tc.want)
		}
	}
}
