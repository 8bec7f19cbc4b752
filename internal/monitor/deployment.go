package monitor

import (
	"context"
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
)

// ActiveDeployment returns the job's active deployment, or an error if it has none.
func ActiveDeployment(ctx context.Context, cluster backends.Cluster, job backends.Job) (backends.Deployment, error) {
	all, err := cluster.Deployments(ctx, job)
	switch {
	case err != nil:
		return backends.Deployment{}, phrase.JobError(job, err)
	case len(all) == 0:
		return backends.Deployment{}, fmt.Errorf("%s has no deployments", job.ID)
	case !IsActive(all[0]):
		return backends.Deployment{}, fmt.Errorf("%s has no active deployment: the latest, %s of version %d, is %s "+
			"(see: deployment %s)",
			job.ID, phrase.ShortID(all[0].ID), all[0].Version, all[0].Status, job.ID)
	}
	return all[0], nil
}

// IsActive reports whether a deployment has not finished.
func IsActive(d backends.Deployment) bool {
	switch d.Status {
	case "successful", "failed", "cancelled":
		return false
	}
	return true
}

// DeploymentStatus reports whether a deployment of a job is successful. It returns an error if the deployment will not
// continue by itself: an *AwaitsPromotionError if healthy canaries wait for their promotion.
func DeploymentStatus(job backends.Job, d backends.Deployment) (message string, done bool, err error) {
	healthy, desired := 0, 0
	healthyCanaries, waiting := 0, false // in groups that need a promotion; waiting: some canaries are not healthy yet
	for _, g := range d.Groups {
		healthy, desired = healthy+g.Healthy, desired+g.Desired
		switch {
		case g.Canaries == 0 || g.Promoted || g.AutoPromote:
		case g.Healthy < g.Canaries:
			waiting = true
		default:
			healthyCanaries += g.Canaries
		}
	}
	name := "deployment " + phrase.ShortID(d.ID)
	switch d.Status {
	case "successful":
		return "", true, nil
	case "running", "pending", "initializing", "unblocking", "blocked":
		if healthyCanaries > 0 && !waiting {
			return "", true, &AwaitsPromotionError{Job: job.ID, Deployment: d.ID, Canaries: healthyCanaries}
		}
		return fmt.Sprintf("%s of version %d: %d of %d healthy", name, d.Version, healthy, desired), false, nil
	case "paused":
		return "", true, fmt.Errorf("%s is paused (see: resume %s)", name, job.ID)
	}
	return "", true, fmt.Errorf("%s of version %d: %s: %s", name, d.Version, d.Status, d.Description)
}

// AwaitsPromotionError reports that Nomad has applied a change except for the promotion: the canaries are healthy, and
// only a person can promote them.
type AwaitsPromotionError struct {
	Job        string // its ID
	Deployment string // its ID
	Canaries   int    // that wait
}

func (e *AwaitsPromotionError) Error() string {
	return fmt.Sprintf("deployment %s is waiting for promotion: %s healthy (promote it: promote %s; fail it: fail %s)",
		phrase.ShortID(e.Deployment), canariesAre(e.Canaries), e.Job, e.Job)
}

func canariesAre(n int) string {
	if n == 1 {
		return "1 canary is"
	}
	return fmt.Sprintf("%d canaries are", n)
}
