package nomad

import (
	"cmp"
	"context"
	"slices"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Deployments returns the deployments of the current job, not of an earlier one with the same ID.
func (c *Client) Deployments(ctx context.Context, job backends.Job) ([]backends.Deployment, error) {
	found, err := c.deployments(ctx, job)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		_, err := c.currentState(ctx, job) // Nomad returns an empty list for a purged job as well
		return nil, err
	}
	all := make([]backends.Deployment, len(found))
	for i, d := range found {
		all[i] = *deploymentOf(d)
	}
	return all, nil
}

// deployments returns the job's deployments, newest first.
func (c *Client) deployments(ctx context.Context, job backends.Job) ([]*api.Deployment, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	found, err := readObject(ctx, c, job.Namespace, capReadJob,
		func(q *api.QueryOptions) ([]*api.Deployment, *api.QueryMeta, error) {
			return c.api.Jobs().Deployments(job.ID, false, q)
		})
	slices.SortFunc(found, func(a, b *api.Deployment) int { return cmp.Compare(b.CreateIndex, a.CreateIndex) })
	return found, err
}

// Promote promotes the canaries of all groups.
func (c *Client) Promote(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	body := &api.DeploymentPromoteRequest{DeploymentID: deployment, All: true}
	return c.changeDeployment(ctx, job, deployment, "promote", body, isPromoted)
}

// Fail fails a deployment. Nomad then reverts the job if its update block has auto_revert.
func (c *Client) Fail(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	body := &api.DeploymentFailRequest{DeploymentID: deployment}
	return c.changeDeployment(ctx, job, deployment, "fail", body, func(d *api.Deployment) bool {
		return d.Status == "failed"
	})
}

// Pause pauses a deployment: Nomad places no more allocations of its version.
func (c *Client) Pause(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	body := &api.DeploymentPauseRequest{DeploymentID: deployment, Pause: true}
	return c.changeDeployment(ctx, job, deployment, "pause", body, func(d *api.Deployment) bool {
		return d.Status == "paused"
	})
}

// Resume resumes a paused deployment.
func (c *Client) Resume(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	body := &api.DeploymentPauseRequest{DeploymentID: deployment}
	return c.changeDeployment(ctx, job, deployment, "pause", body, func(d *api.Deployment) bool {
		return d.Status != "paused"
	})
}

// changeDeployment changes a deployment. applied reports from its state whether the change was applied. Nomad
// identifies a deployment by its ID only, so changeDeployment first checks that it belongs to the job, which the user
// owns.
func (c *Client) changeDeployment(
	ctx context.Context, job backends.Job, id, action string, body any, applied func(*api.Deployment) bool,
) (backends.WriteResult, error) {
	if _, err := c.deployment(ctx, job, id); err != nil {
		return backends.WriteResult{}, err
	}
	var response api.DeploymentUpdateResponse
	err := c.write(ctx, writeRequest{
		job: job, capability: capSubmitJob, path: "/v1/deployment/" + action + "/" + id, body: body, response: &response,
		verify: func(ctx context.Context) (bool, error) {
			d, err := c.deployment(ctx, job, id)
			return err == nil && applied(d), err
		},
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	return backends.WriteResult{EvaluationID: response.EvalID, DeploymentID: id}, nil
}

// deployment returns a deployment of the job. ErrNotFound: the job has none with this ID.
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

// isPromoted reports whether all canaries have been promoted.
func isPromoted(d *api.Deployment) bool {
	for _, g := range d.TaskGroups {
		if g.DesiredCanaries > 0 && !g.Promoted {
			return false
		}
	}
	return true
}
