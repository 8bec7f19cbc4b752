package sim

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"
)

func (j *job) runsTheSame(other *job) bool { return reflect.DeepEqual(j.spec(), other.spec()) }

// deploymentOf looks a deployment up by its whole ID; nil when there is none.
func (c *Cluster) deploymentOf(id string) (*deployment, error) {
	if _, err := digits(id, true); err != nil {
		return nil, fmt.Errorf("deployment lookup failed: index error: %w", err)
	}
	return c.deploymentByID(id), nil
}

func getDeployment(c *Cluster, q *query) (any, error) {
	if !q.token.rights.allow(q.namespace, "read-job") {
		return nil, denied
	}
	d, err := c.deploymentOf(q.id)
	if err != nil {
		return nil, err
	}
	if d == nil || !q.token.rights.allow(d.Namespace, "read-job") {
		q.at = c.changedAt[tableDeployments]
		return nil, failure{http.StatusNotFound, "deployment not found"}
	}
	q.at = d.ModifyIndex
	return d, nil
}

func deploymentAllocations(c *Cluster, q *query) (any, error) {
	if !q.token.rights.allow(q.namespace, "read-job") {
		return nil, denied
	}
	q.at = c.changedAt[tableAllocations]
	out := []allocationStub{}
	for _, a := range c.allocations {
		if a.DeploymentID != q.id {
			continue
		}
		if !q.token.rights.allow(a.Namespace, "read-job") {
			return nil, denied
		}
		out = append(out, a.stub(true, false))
	}
	return out, nil
}

// onDeployment looks up the deployment of an order, by a token that has one of the capabilities.
func (c *Cluster) onDeployment(o *order, terminal string, capabilities ...string) (*deployment, error) {
	d, err := c.deploymentOf(o.id)
	switch {
	case err != nil:
		return nil, err
	case d == nil:
		return nil, fmt.Errorf("deployment not found")
	}
	if err := o.may(d.Namespace, capabilities...); err != nil {
		return nil, err
	}
	if !d.active() {
		return nil, fmt.Errorf("can't %s terminal deployment", terminal)
	}
	return d, nil
}

// named refuses an order whose body is about another deployment than its path.
func (o *order) named(id string) error {
	switch id {
	case "":
		return failure{http.StatusBadRequest, "DeploymentID must be specified"}
	case o.id:
		return nil
	}
	return failure{http.StatusBadRequest, "Deployment ID does not match"}
}

func (o *order) deployed(e *evaluation, reverted *uint64) object {
	answer := object{
		"EvalID": "", "EvalCreateIndex": 0, "DeploymentModifyIndex": o.index, "Index": o.index, "RevertedJobVersion": reverted,
	}
	if e != nil {
		answer["EvalID"], answer["EvalCreateIndex"] = e.ID, e.CreateIndex
	}
	return answer
}

func promoteDeployment(c *Cluster, o *order) (any, error) {
	var sent struct {
		DeploymentID string
		All          bool
		Groups       []string
	}
	if err := o.read(&sent); err != nil {
		return nil, err
	}
	if err := o.named(sent.DeploymentID); err != nil {
		return nil, err
	}
	d, err := c.onDeployment(o, "promote", "submit-job", "promote-deployment")
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
		if s := d.TaskGroups[a.TaskGroup]; s != nil && slices.Contains(s.PlacedCanaries, a.ID) && !a.terminal() && a.healthy() {
			healthy[a.TaskGroup]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.TaskGroups)) {
		s := d.TaskGroups[name]
		if (sent.All || slices.Contains(sent.Groups, name)) && healthy[name] < s.DesiredCanaries {
			return nil, errorList(fmt.Sprintf("Task group %q has %d/%d healthy allocations", name, healthy[name], s.DesiredCanaries))
		}
	}
	e := c.promote(d.ID, sent.Groups)
	o.index = e.CreateIndex
	return o.deployed(e, nil), nil
}

// promote makes the healthy canaries of groups, or of all for nil, allocations like any other.
func (c *Cluster) promote(id string, groups []string) *evaluation {
	old := c.deploymentByID(id)
	if old == nil || !old.active() {
		return nil
	}
	index := c.step(tableJobs, tableSummaries, tableAllocations, tableDeployments, tableEvaluations)
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
			if a := c.byID[canary]; a != nil && !a.terminal() && a.healthy() {
				b := a.copy()
				h := *a.DeploymentStatus
				h.Canary, h.ModifyIndex = false, index
				b.DeploymentStatus = &h
				promoted = append(promoted, b)
			}
		}
	}
	d.describe()
	c.storeDeployment(d, index)
	c.amend(index, promoted...)
	return c.evaluateAny(d, index)
}

func pauseDeployment(c *Cluster, o *order) (any, error) {
	var sent struct {
		DeploymentID string
		Pause        bool
	}
	if err := o.read(&sent); err != nil {
		return nil, err
	}
	if err := o.named(sent.DeploymentID); err != nil {
		return nil, err
	}
	what := "resume"
	if sent.Pause {
		what = "pause"
	}
	old, err := c.onDeployment(o, what, "submit-job", "pause-deployment")
	if err != nil {
		return nil, err
	}
	d := old.copy()
	o.index = c.step(tableJobs, tableDeployments, tableEvaluations)
	d.Status = "running"
	if sent.Pause {
		d.Status = "paused"
	}
	d.StatusDescription = described[d.Status]
	c.storeDeployment(d, o.index)
	if sent.Pause {
		return o.deployed(nil, nil), nil
	}
	e := c.evaluateAny(d, o.index)
	c.watch(d.ID)
	return o.deployed(e, nil), nil
}

func failDeployment(c *Cluster, o *order) (any, error) {
	d, err := c.onDeployment(o, "fail", "submit-job", "fail-deployment")
	if err != nil {
		return nil, err
	}
	e, reverted := c.failDeployment(d, "Deployment marked as failed")
	o.index = e.CreateIndex
	return o.deployed(e, reverted), nil
}
