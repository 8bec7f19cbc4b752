package nomadsim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// scalingEvent is the record of a request to scale a group.
type scalingEvent struct {
	Time          int64
	Count         *int64
	PreviousCount int64
	Message       string
	Error         bool
	Meta          map[string]any
	EvalID        *string
	CreateIndex   uint64
}

// maxScalingEvents is the number of events that Nomad keeps for each group.
const maxScalingEvents = 20

// scaleJob changes the count of a group, or only records a message.
func scaleJob(c *Cluster, req *writeRequest) (any, error) {
	var sent struct {
		Count          *int64
		Target         map[string]string
		Message        string
		Error          bool
		Meta           map[string]any
		JobModifyIndex uint64
	}
	bad := func(format string, args ...any) error {
		return httpError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
	}
	if err := req.decode(&sent); err != nil {
		return nil, err
	}
	if t := sent.Target["Job"]; t != "" && t != req.id {
		return nil, bad("job ID in payload did not match URL")
	}
	if err := req.authorize(req.namespace, "scale-job", "submit-job"); err != nil {
		return nil, err
	}
	group := sent.Target["Group"]
	switch n := sent.Target["Namespace"]; {
	case n != "" && n != req.namespace:
		return nil, bad("namespace in payload did not match header")
	case group == "":
		return nil, bad("missing task group name for scaling action")
	case sent.Count != nil && *sent.Count < 0:
		return nil, bad("scaling action count can't be negative")
	case sent.Count != nil && sent.Error:
		return nil, bad("scaling action should not contain count if error is true")
	}
	before := c.job(req.namespace, req.id)
	if before == nil {
		return nil, httpError{http.StatusNotFound, fmt.Sprintf("job %q not found", req.id)}
	}
	if before.Type == "system" && sent.Count != nil && *sent.Count > 1 {
		return nil, bad(`jobs of type "system" can only be scaled between 0 and 1`)
	}
	i := slices.IndexFunc(before.groups, func(g Group) bool { return g.Name == group })
	if i < 0 {
		return nil, bad("task group %q specified for scaling does not exist in job", group)
	}
	g := before.groups[i]
	event := scalingEvent{
		Time: time.Now().UnixNano(), Count: sent.Count, PreviousCount: int64(g.Count), Message: sent.Message,
		Error: sent.Error, Meta: sent.Meta,
	}
	response := req.registerResponse("", 0, before.ModifyIndex)
	if sent.Count != nil {
		if err := before.checkScale(g, *sent.Count, sent.JobModifyIndex); err != nil {
			return nil, err
		}
		index := c.nextIndex(tableJobs, tableSummaries)
		j := before.nextVersion(index)
		j.setCount(group, int(*sent.Count))
		j.storeScalingPolicies(before, index)
		c.storeJob(j, index)
		response = req.registerResponse("", 0, index)
		if !j.isParent() {
			e := c.evaluate(j, "job-scaling", c.nextIndex(tableEvaluations), index)
			response = req.registerResponse(e.ID, e.CreateIndex, index)
			event.EvalID = &e.ID
		}
	}
	req.index = c.nextIndex()
	event.CreateIndex = req.index
	c.storeScalingEvent(req, group, event)
	response["Index"], response["KnownLeader"] = req.index, true
	return response, nil
}

// checkScale returns an error if the group cannot have this count, or cannot be scaled now.
func (j *job) checkScale(g Group, count int64, index uint64) error {
	if s := g.Scaling; s != nil {
		if count < int64(s.Min) {
			return httpError{
				http.StatusBadRequest, fmt.Sprintf("group count was less than scaling policy minimum: %d < %d", count, s.Min),
			}
		}
		if count > int64(s.Max) {
			return httpError{
				http.StatusBadRequest, fmt.Sprintf("group count was greater than scaling policy maximum: %d > %d", count, s.Max),
			}
		}
	}
	if all := j.deployments(); len(all) > 0 && all[0].active() {
		return httpError{http.StatusBadRequest, "job scaling blocked due to active deployment"}
	}
	if index > 0 {
		return j.checkModifyIndex(index)
	}
	return nil
}

func (c *Cluster) storeScalingEvent(req *writeRequest, group string, e scalingEvent) {
	j := *c.job(req.namespace, req.id)
	all := map[string][]scalingEvent{}
	for name, events := range j.scalingEvents {
		all[name] = events
	}
	all[group] = append([]scalingEvent{e}, all[group]...)
	all[group] = all[group][:min(len(all[group]), maxScalingEvents)]
	j.scalingEvents = all
	c.jobs = put(c.jobs, &j, byName)
}

// scaleStatus returns the counts and scaling events of a job's groups.
func scaleStatus(c *Cluster, q *query) (any, error) {
	if r := q.token.rights; !r.allows(q.namespace, "read-job") && !r.allows(q.namespace, "read-job-scaling") {
		return nil, errDenied
	}
	j := c.job(q.namespace, q.id)
	if j == nil {
		q.resultIndex = c.index
		return nil, errJobNotFound
	}
	type groupStatus struct {
		Desired, Placed, Running, Healthy, Unhealthy int
		Events                                       []scalingEvent
	}
	groups := map[string]*groupStatus{}
	q.resultIndex = j.ModifyIndex
	for _, g := range j.groups {
		groups[g.Name] = &groupStatus{Desired: g.Count, Events: j.scalingEvents[g.Name]}
		for _, e := range j.scalingEvents[g.Name] {
			q.resultIndex = max(q.resultIndex, e.CreateIndex)
		}
	}
	for _, a := range j.allocations {
		g := groups[a.TaskGroup]
		if g == nil || a.terminal() || a.isCanary() || a.Job.CreateIndex != j.CreateIndex {
			continue
		}
		g.Placed++
		if a.ClientStatus == "running" {
			g.Running++
		}
		if a.isHealthy() {
			g.Healthy++
		} else if a.hasHealth() {
			g.Unhealthy++
		}
		q.resultIndex = max(q.resultIndex, a.ModifyIndex)
	}
	return object{
		"JobID": j.ID, "Namespace": j.Namespace, "JobCreateIndex": j.CreateIndex, "JobModifyIndex": j.ModifyIndex,
		"JobStopped": j.Stop, "TaskGroups": groups,
	}, nil
}
