package nomadsim

import (
	"fmt"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/scheduler"
	"nomadctld/internal/nomadsim/store"
)

func getDeployment(c *Cluster, st *store.State, q *query) (any, error) {
	if !q.token.rights.allows(q.namespace, "read-job") {
		return nil, jobspec.ErrDenied
	}
	d, err := st.LookupDeployment(q.id)
	if err != nil {
		return nil, err
	}
	if d == nil || !q.token.rights.allows(d.Namespace, "read-job") {
		q.resultIndex = st.LastChange(store.TableDeployments)
		return nil, jobspec.NotFound("deployment not found")
	}
	q.resultIndex = d.ModifyIndex
	return d, nil
}

func deploymentAllocations(c *Cluster, st *store.State, q *query) (any, error) {
	if !q.token.rights.allows(q.namespace, "read-job") {
		return nil, jobspec.ErrDenied
	}
	q.resultIndex = st.LastChange(store.TableAllocations)
	out := []store.AllocationStub{}
	for _, a := range st.Allocations {
		if a.DeploymentID != q.id {
			continue
		}
		if !q.token.rights.allows(a.Namespace, "read-job") {
			return nil, jobspec.ErrDenied
		}
		out = append(out, a.Stub(true, false))
	}
	return out, nil
}

// activeDeployment returns the deployment of a write request. It returns an error if the token has none of the
// capabilities or the deployment is terminal.
func activeDeployment(st *store.State, req *writeRequest, operation string,
	capabilities ...string,
) (*store.Deployment, error) {
	d, err := st.LookupDeployment(req.id)
	switch {
	case err != nil:
		return nil, err
	case d == nil:
		return nil, fmt.Errorf("deployment not found")
	}
	if err := req.authorize(d.Namespace, capabilities...); err != nil {
		return nil, err
	}
	if !d.Active() {
		return nil, fmt.Errorf("can't %s terminal deployment", operation)
	}
	return d, nil
}

// checkDeploymentID returns an error if the body names another deployment than the path.
func (req *writeRequest) checkDeploymentID(id string) error {
	switch id {
	case "":
		return jobspec.BadRequest("DeploymentID must be specified")
	case req.id:
		return nil
	}
	return jobspec.BadRequest("Deployment ID does not match")
}

func (req *writeRequest) deploymentResponse(e *store.Evaluation, reverted *uint64) object {
	response := object{
		"EvalID": "", "EvalCreateIndex": 0, "DeploymentModifyIndex": req.index, "Index": req.index,
		"RevertedJobVersion": reverted,
	}
	if e != nil {
		response["EvalID"], response["EvalCreateIndex"] = e.ID, e.CreateIndex
	}
	return response
}

func promoteDeployment(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	var sent struct {
		DeploymentID string
		All          bool
		Groups       []string
	}
	if err := req.decode(&sent); err != nil {
		return nil, err
	}
	if err := req.checkDeploymentID(sent.DeploymentID); err != nil {
		return nil, err
	}
	d, err := activeDeployment(st, req, "promote", "submit-job", "promote-deployment")
	if err != nil {
		return nil, err
	}
	if sent.All {
		sent.Groups = nil
	} else if sent.Groups == nil {
		sent.Groups = []string{}
	}
	if err := scheduler.CheckPromotion(st, d, sent.Groups); err != nil {
		return nil, err
	}
	e := c.scheduler.Promote(st, d.ID, sent.Groups)
	req.index = e.CreateIndex
	return req.deploymentResponse(e, nil), nil
}

func pauseDeployment(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	var sent struct {
		DeploymentID string
		Pause        bool
	}
	if err := req.decode(&sent); err != nil {
		return nil, err
	}
	if err := req.checkDeploymentID(sent.DeploymentID); err != nil {
		return nil, err
	}
	operation := "resume"
	if sent.Pause {
		operation = "pause"
	}
	d, err := activeDeployment(st, req, operation, "submit-job", "pause-deployment")
	if err != nil {
		return nil, err
	}
	index, e := c.scheduler.Pause(st, d, sent.Pause)
	req.index = index
	return req.deploymentResponse(e, nil), nil
}

func failDeployment(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	d, err := activeDeployment(st, req, "fail", "submit-job", "fail-deployment")
	if err != nil {
		return nil, err
	}
	e, reverted := c.scheduler.FailDeployment(st, d, "Deployment marked as failed")
	req.index = e.CreateIndex
	return req.deploymentResponse(e, reverted), nil
}
