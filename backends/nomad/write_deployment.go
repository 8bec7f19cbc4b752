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
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	found, err := readObject(ctx, c, job.Namespace, capReadJob,
		func(q *api.QueryOptions) ([]*api.Deployment, *api.QueryMeta, error) {
			return c.reads.Jobs().Deployments(job.ID, false, q)
		})
	slices.SortFunc(found, func(a, b *api.Deployment) int { return cmp.Compare(b.CreateIndex, a.CreateIndex) })
	return found, err
}

// PromoteDeployment promotes the canaries of all groups.
func (c *Client) PromoteDeployment(
	ctx context.Context, job backends.Job, deploymentID string,
) (backends.WriteResult, error) {
	body := &api.DeploymentPromoteRequest{DeploymentID: deploymentID, All: true}
	return c.changeDeployment(ctx, job, deploymentID, "promote", body, isPromoted)
}

// FailDeployment fails a deployment. Nomad then reverts the job if its update block has auto_revert.
func (c *Client) FailDeployment(
	ctx context.Context, job backends.Job, deploymentID string,
) (backends.WriteResult, error) {
	body := &api.DeploymentFailRequest{DeploymentID: deploymentID}
	return c.changeDeployment(ctx, job, deploymentID, "fail", body, func(d *api.Deployment) bool {
		return d.Status == "failed"
	})
}

// PauseDeployment pauses a deployment: Nomad places no more allocations of its version.
func (c *Client) PauseDeployment(
	ctx context.Context, job backends.Job, deploymentID string,
) (backends.WriteResult, error) {
	body := &api.DeploymentPauseRequest{DeploymentID: deploymentID, Pause: true}
	return c.changeDeployment(ctx, job, deploymentID, "pause", body, func(d *api.Deployment) bool {
		return d.Status == "paused"
	})
}

// ResumeDeployment resumes a paused deployment.
func (c *Client) ResumeDeployment(
	ctx context.Context, job backends.Job, deploymentID string,
) (backends.WriteResult, error) {
	body := &api.DeploymentPauseRequest{DeploymentID: deploymentID}
	return c.changeDeployment(ctx, job, deploymentID, "pause", body, func(d *api.Deployment) bool {
		return d.Status != "paused"
	})
}

// changeDeployment changes a deployment. isApplied reports from its state whether the change was applied. Nomad
// identifies a deployment by its ID only, so changeDeployment first checks that it belongs to the job, which the user
// owns.
func (c *Client) changeDeployment(
	ctx context.Context, job backends.Job, id, action string, body any, isApplied func(*api.Deployment) bool,
) (backends.WriteResult, error) {
	if _, err := c.deployment(ctx, job, id); err != nil {
		return backends.WriteResult{}, err
	}
	var response api.DeploymentUpdateResponse
	err := c.write(ctx, writeRequest{
		job: job, capability: action + deploymentSuffix, path: "/v1/deployment/" + action + "/" + id,
		body: body, response: &response,
		verify: func(ctx context.Context) (bool, error) {
			d, err := c.deployment(ctx, job, id)
			return err == nil && isApplied(d), err
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
