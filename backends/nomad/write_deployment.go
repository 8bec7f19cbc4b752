package nomad

import (
	"cmp"
	"context"
	"slices"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Deployments are those of the job that is there now, not of an earlier one of its name.
func (c *Client) Deployments(ctx context.Context, job backends.Job) ([]backends.Deployment, error) {
	found, err := c.deployments(ctx, job)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		_, err := c.currentState(ctx, job) // Nomad knows no deployments of a job that is gone, too
		return nil, err
	}
	all := make([]backends.Deployment, len(found))
	for i, d := range found {
		all[i] = *deploymentOf(d)
	}
	return all, nil
}

// deployments returns them newest first.
func (c *Client) deployments(ctx context.Context, job backends.Job) ([]*api.Deployment, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	found, err := readObject(ctx, c, job.Namespace, capReadJob, func(q *api.QueryOptions) ([]*api.Deployment, *api.QueryMeta, error) {
		return c.api.Jobs().Deployments(job.ID, false, q)
	})
	slices.SortFunc(found, func(a, b *api.Deployment) int { return cmp.Compare(b.CreateIndex, a.CreateIndex) })
	return found, err
}

// Promote promotes the canaries of all groups.
func (c *Client) Promote(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	return c.changeDeployment(ctx, job, deployment, "promote", &api.DeploymentPromoteRequest{DeploymentID: deployment, All: true}, isPromoted)
}

// Fail rolls the job back too, if it says so.
func (c *Client) Fail(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	return c.changeDeployment(ctx, job, deployment, "fail", &api.DeploymentFailRequest{DeploymentID: deployment}, func(d *api.Deployment) bool {
		return d.Status == "failed"
	})
}

// Pause keeps Nomad from placing more of the version.
func (c *Client) Pause(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	return c.changeDeployment(ctx, job, deployment, "pause", &api.DeploymentPauseRequest{DeploymentID: deployment, Pause: true}, func(d *api.Deployment) bool {
		return d.Status == "paused"
	})
}

// Resume lets a paused deployment go on.
func (c *Client) Resume(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	return c.changeDeployment(ctx, job, deployment, "pause", &api.DeploymentPauseRequest{DeploymentID: deployment}, func(d *api.Deployment) bool {
		return d.Status != "paused"
	})
}

// changeDeployment orders something of a deployment; done tells from its state that the order was taken. Its job is looked at first:
// Nomad asks for no more than the ID of a deployment, of which a user may have named somebody else's.
func (c *Client) changeDeployment(ctx context.Context, job backends.Job, id, what string, body any, done func(*api.Deployment) bool) (backends.WriteResult, error) {
	if _, err := c.deployment(ctx, job, id); err != nil {
		return backends.WriteResult{}, err
	}
	var answer api.DeploymentUpdateResponse
	err := c.write(ctx, writeRequest{
		job: job, capability: capSubmitJob, path: "/v1/deployment/" + what + "/" + id, body: body, response: &answer,
		verify: func(ctx context.Context) (bool, error) {
			d, err := c.deployment(ctx, job, id)
			return err == nil && done(d), err
		},
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	return backends.WriteResult{EvaluationID: answer.EvalID, DeploymentID: id}, nil
}

// deployment returns a deployment of the job. ErrGone: it has none with this ID.
func (c *Client) deployment(ctx context.Context, job backends.Job, id string) (*api.Deployment, error) {
	all, err := c.deployments(ctx, job)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.ID == id {
			return d, nil
		}
	}
	return nil, backends.ErrNotFound
}

// isPromoted reports whether no canary waits any more.
func isPromoted(d *api.Deployment) bool {
	for _, g := range d.TaskGroups {
		if g.DesiredCanaries > 0 && !g.Promoted {
			return false
		}
	}
	return true
}
