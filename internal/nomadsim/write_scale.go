package nomadsim

import (
	"fmt"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/scheduler"
	"nomadctld/internal/nomadsim/store"
)

// scaleJob changes the count of a group, or only records a message.
func scaleJob(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	var sent struct {
		Count          *int64
		Target         map[string]string
		Message        string
		Error          bool
		Meta           map[string]any
		JobModifyIndex uint64
	}
	bad := func(format string, args ...any) error {
		return jobspec.BadRequest(fmt.Sprintf(format, args...))
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
	before := st.Job(req.namespace, req.id)
	if before == nil {
		return nil, jobspec.NotFound(fmt.Sprintf("job %q not found", req.id))
	}
	if before.Type == "system" && sent.Count != nil && *sent.Count > 1 {
		return nil, bad(`jobs of type "system" can only be scaled between 0 and 1`)
	}
	i := slices.IndexFunc(before.Groups, func(g jobspec.Group) bool { return g.Name == group })
	if i < 0 {
		return nil, bad("task group %q specified for scaling does not exist in job", group)
	}
	g := before.Groups[i]
	event := store.ScalingEvent{
		Time: time.Now().UnixNano(), Count: sent.Count, PreviousCount: int64(g.Count), Message: sent.Message,
		Error: sent.Error, Meta: sent.Meta,
	}
	response := req.registerResponse("", 0, before.ModifyIndex)
	if sent.Count != nil {
		if err := scheduler.CheckScale(before, g, *sent.Count, sent.JobModifyIndex); err != nil {
			return nil, err
		}
		index := st.NextIndex(store.TableJobs, store.TableSummaries)
		j := before.NextVersion(index)
		j.SetCount(group, int(*sent.Count))
		j.StoreScalingPolicies(before.Spec(), index)
		st.StoreJob(j, index)
		response = req.registerResponse("", 0, index)
		if !j.IsParent() {
			e := c.scheduler.Evaluate(st, j, "job-scaling", st.NextIndex(store.TableEvaluations), index)
			response = req.registerResponse(e.ID, e.CreateIndex, index)
			event.EvalID = &e.ID
		}
	}
	req.index = st.NextIndex()
	event.CreateIndex = req.index
	st.StoreScalingEvent(req.namespace, req.id, group, event)
	response["Index"], response["KnownLeader"] = req.index, true
	return response, nil
}

// scaleStatus returns the counts and scaling events of a job's groups.
func scaleStatus(c *Cluster, st *store.State, q *query) (any, error) {
	if r := q.token.rights; !r.allows(q.namespace, "read-job") && !r.allows(q.namespace, "read-job-scaling") {
		return nil, jobspec.ErrDenied
	}
	j := st.Job(q.namespace, q.id)
	if j == nil {
		q.resultIndex = st.Index
		return nil, errJobNotFound
	}
	type groupStatus struct {
		Desired, Placed, Running, Healthy, Unhealthy int
		Events                                       []store.ScalingEvent
	}
	groups := map[string]*groupStatus{}
	q.resultIndex = j.ModifyIndex
	for _, g := range j.Groups {
		groups[g.Name] = &groupStatus{Desired: g.Count, Events: j.ScalingEvents[g.Name]}
		for _, e := range j.ScalingEvents[g.Name] {
			q.resultIndex = max(q.resultIndex, e.CreateIndex)
		}
	}
	for _, a := range j.Allocations {
		g := groups[a.TaskGroup]
		if g == nil || a.Terminal() || a.IsCanary() || a.Job.CreateIndex != j.CreateIndex {
			continue
		}
		g.Placed++
		if a.ClientStatus == "running" {
			g.Running++
		}
		if a.IsHealthy() {
			g.Healthy++
		} else if a.HasHealth() {
			g.Unhealthy++
		}
		q.resultIndex = max(q.resultIndex, a.ModifyIndex)
	}
	return object{
		"JobID": j.ID, "Namespace": j.Namespace, "JobCreateIndex": j.CreateIndex, "JobModifyIndex": j.ModifyIndex,
		"JobStopped": j.Stop, "TaskGroups": groups,
	}, nil
}
