package nomadsim

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"
)

func (j *job) sameSpec(other *job) bool {
	return reflect.DeepEqual(j.normalizedSpec(), other.normalizedSpec())
}

// lookupDeployment returns a deployment by its full ID, or nil if there is none.
func (c *Cluster) lookupDeployment(id string) (*deployment, error) {
	if _, err := uuidDigits(id, true); err != nil {
		return nil, fmt.Errorf("deployment lookup failed: index error: %w", err)
	}
	return c.deploymentByID(id), nil
}

func getDeployment(c *Cluster, q *query) (any, error) {
	if !q.token.rights.allows(q.namespace, "read-job") {
		return nil, errDenied
	}
	d, err := c.lookupDeployment(q.id)
	if err != nil {
		return nil, err
	}
	if d == nil || !q.token.rights.allows(d.Namespace, "read-job") {
		q.resultIndex = c.changedAt[tableDeployments]
		return nil, httpError{http.StatusNotFound, "deployment not found"}
	}
	q.resultIndex = d.ModifyIndex
	return d, nil
}

func deploymentAllocations(c *Cluster, q *query) (any, error) {
	if !q.token.rights.allows(q.namespace, "read-job") {
		return nil, errDenied
	}
	q.resultIndex = c.changedAt[tableAllocations]
	out := []allocationStub{}
	for _, a := range c.allocations {
		if a.DeploymentID != q.id {
			continue
		}
		if !q.token.rights.allows(a.Namespace, "read-job") {
			return nil, errDenied
		}
		out = append(out, a.stub(true, false))
	}
	return out, nil
}

// activeDeployment returns the deployment of a write request. It returns an error if the token has none of the
// capabilities or the deployment is terminal.
func (c *Cluster) activeDeployment(req *writeRequest, operation string, capabilities ...string) (*deployment, error) {
	d, err := c.lookupDeployment(req.id)
	switch {
	case err != nil:
		return nil, err
	case d == nil:
		return nil, fmt.Errorf("deployment not found")
	}
	if err := req.authorize(d.Namespace, capabilities...); err != nil {
		return nil, err
	}
	if !d.active() {
		return nil, fmt.Errorf("can't %s terminal deployment", operation)
	}
	return d, nil
}

// checkDeploymentID returns an error if the body names another deployment than the path.
func (req *writeRequest) checkDeploymentID(id string) error {
	switch id {
	case "":
		return httpError{http.StatusBadRequest, "DeploymentID must be specified"}
	case req.id:
		return nil
	}
	return httpError{http.StatusBadRequest, "Deployment ID does not match"}
}

func (req *writeRequest) deploymentResponse(e *evaluation, reverted *uint64) object {
	response := object{
		"EvalID": "", "EvalCreateIndex": 0, "DeploymentModifyIndex": req.index, "Index": req.index,
		"RevertedJobVersion": reverted,
	}
	if e != nil {
		response["EvalID"], response["EvalCreateIndex"] = e.ID, e.CreateIndex
	}
	return response
}

func promoteDeployment(c *Cluster, req *writeRequest) (any, error) {
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
	d, err := c.activeDeployment(req, "promote", "submit-job", "promote-deployment")
	if err != nil {
		return nil, err
	}
	if sent.All {
		sent.Groups = nil
	} else if sent.Groups == nil {
		sent.Groups = []string{}
	}
	healthy := map[string]int{}
	for _, a := range c.allocations {
		if s := d.TaskGroups[a.TaskGroup]; s != nil && slices.Contains(s.PlacedCanaries, a.ID) && !a.terminal() &&
			a.isHealthy() {
			healthy[a.TaskGroup]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.TaskGroups)) {
		s := d.TaskGroups[name]
		if (sent.All || slices.Contains(sent.Groups, name)) && healthy[name] < s.DesiredCanaries {
			return nil, errorList(fmt.Sprintf("Task group %q has %d/%d healthy allocations", name, healthy[name],
				s.DesiredCanaries))
		}
	}
	e := c.promote(d.ID, sent.Groups)
	req.index = e.CreateIndex
	return req.deploymentResponse(e, nil), nil
}

// promote promotes the healthy canaries of these groups, or of all groups for nil.
func (c *Cluster) promote(id string, groups []string) *evaluation {
	old := c.deploymentByID(id)
	if old == nil || !old.active() {
		return nil
	}
	index := c.nextIndex(tableJobs, tableSummaries, tableAllocations, tableDeployments, tableEvaluations)
	d := old.copy()
	var promoted []*allocation
	for name, s := range d.TaskGroups {
		if groups != nil && !slices.Contains(groups, name) {
			continue
		}
		s.Promoted = true
		if s.RequireProgressBy != nil {
			s.RequireProgressBy = stamp(time.Now().Add(s.ProgressDeadline))
		}
		for _, canary := range s.PlacedCanaries {
			if a := c.allocationByID[canary]; a != nil && !a.terminal() && a.isHealthy() {
				b := a.copy()
				h := *a.DeploymentStatus
				h.Canary, h.ModifyIndex = false, index
				b.DeploymentStatus = &h
				promoted = append(promoted, b)
			}
		}
	}
	d.updateDescription()
	c.storeDeployment(d, index)
	c.storeAllocations(index, promoted...)
	return c.evaluateDeployment(d, index)
}

func pauseDeployment(c *Cluster, req *writeRequest) (any, error) {
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
	old, err := c.activeDeployment(req, operation, "submit-job", "pause-deployment")
	if err != nil {
		return nil, err
	}
	d := old.copy()
	req.index = c.nextIndex(tableJobs, tableDeployments, tableEvaluations)
	d.Status = "running"
	if sent.Pause {
		d.Status = "paused"
	}
	d.StatusDescription = deploymentDescriptions[d.Status]
	c.storeDeployment(d, req.index)
	if sent.Pause {
		return req.deploymentResponse(nil, nil), nil
	}
	e := c.evaluateDeployment(d, req.index)
	c.checkDeployment(d.ID)
	return req.deploymentResponse(e, nil), nil
}

func failDeployment(c *Cluster, req *writeRequest) (any, error) {
	d, err := c.activeDeployment(req, "fail", "submit-job", "fail-deployment")
	if err != nil {
		return nil, err
	}
	e, reverted := c.failDeployment(d, "Deployment marked as failed")
	req.index = e.CreateIndex
	return req.deploymentResponse(e, reverted), nil
}
