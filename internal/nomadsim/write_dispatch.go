package nomadsim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// maxPayloadSize is Nomad's limit for the payload of a dispatch.
const maxPayloadSize = 16 * 1024

// dispatchJob registers a child of a parameterized job. Unlike Nomad, it stores the payload uncompressed, which is
// not visible to clients.
func dispatchJob(c *Cluster, req *writeRequest) (any, error) {
	var sent struct {
		JobID, IdPrefixTemplate string
		Payload                 []byte
		Meta                    map[string]string
		Priority                int
	}
	if err := req.decode(&sent); err != nil {
		return nil, err
	}
	if sent.JobID != "" && sent.JobID != req.id {
		return nil, httpError{http.StatusBadRequest, "Job ID does not match"}
	}
	if err := req.authorize(req.namespace, "dispatch-job"); err != nil {
		return nil, err
	}
	parent := c.job(req.namespace, req.id)
	switch {
	case parent == nil:
		return nil, fmt.Errorf("parameterized job not found")
	case parent.ParameterizedJob == nil || parent.Dispatched:
		return nil, fmt.Errorf("Specified job %q is not a parameterized job", req.id)
	case parent.Stop:
		return nil, fmt.Errorf("Specified job %q is stopped", req.id)
	}
	if err := parent.ParameterizedJob.check(sent.Payload, sent.Meta); err != nil {
		return nil, err
	}
	if sent.Priority == 0 {
		sent.Priority = parent.Priority
	}
	if sent.Priority < minPriority || sent.Priority > maxPriority {
		return nil, fmt.Errorf("dispatch job priority must be between [%d, %d]", minPriority, maxPriority)
	}
	token := req.values.Get("idempotency_token")
	if token != "" {
		for _, j := range c.jobs {
			if j.Namespace == req.namespace && j.ParentID == req.id && j.idempotency == token {
				req.index = j.ModifyIndex
				return object{
					"DispatchedJobID": j.ID, "EvalID": "", "EvalCreateIndex": 0, "JobCreateIndex": j.CreateIndex, "Index": req.index,
				}, nil
			}
		}
	}
	req.index = c.nextIndex(tableJobs, tableSummaries, tableEvaluations)
	prefix := sent.IdPrefixTemplate
	if prefix != "" {
		prefix += "-"
	}
	now := time.Now()
	child := parent.child(fmt.Sprintf("%s/dispatch-%s%d-%s", parent.ID, prefix, now.Unix(),
		uuid("dispatch", parent.ID, fmt.Sprint(req.index))[:8]))
	child.Dispatched, child.Priority, child.idempotency = true, sent.Priority, token
	if len(sent.Payload) > 0 {
		child.payload = sent.Payload
	}
	if len(sent.Meta) > 0 {
		meta := map[string]string{}
		maps.Copy(meta, child.Meta)
		maps.Copy(meta, sent.Meta)
		child.Meta = meta
	}
	child = c.storeVersion(nil, child, req.index)
	e := c.evaluate(child, "job-register", req.index, req.index)
	return object{
		"DispatchedJobID": child.ID, "EvalID": e.ID, "EvalCreateIndex": req.index, "JobCreateIndex": req.index,
		"Index": req.index,
	}, nil
}

// check returns an error if the parameterized block does not permit this payload or metadata, or requires more.
func (p *parameterized) check(payload []byte, meta map[string]string) error {
	switch {
	case p.Payload == "required" && len(payload) == 0:
		return fmt.Errorf("Payload is not provided but required by parameterized job")
	case p.Payload == "forbidden" && len(payload) > 0:
		return fmt.Errorf("Payload provided but forbidden by parameterized job")
	case len(payload) > maxPayloadSize:
		return fmt.Errorf("Payload exceeds maximum size; %d > %d", len(payload), maxPayloadSize)
	}
	var unknown, missing []string
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		if !slices.Contains(p.MetaRequired, k) && !slices.Contains(p.MetaOptional, k) {
			unknown = append(unknown, k)
		}
	}
	for _, k := range p.MetaRequired {
		if _, there := meta[k]; !there {
			missing = append(missing, k)
		}
	}
	switch {
	case unknown != nil:
		return fmt.Errorf("Dispatch request included unpermitted metadata keys: %v", unknown)
	case missing != nil:
		return fmt.Errorf("Dispatch did not provide required meta keys: %v", missing)
	}
	return nil
}

// child returns a new child of this job, to be stored.
func (j *job) child(id string) *job {
	n := *j
	n.ID, n.Name, n.ParentID, n.Periodic = id, id, j.ID, nil
	n.groups, n.extraFields, n.scalingEvents = slices.Clone(j.groups), maps.Clone(j.extraFields), nil
	n.Status, n.StatusDescription, n.submission = "", "", nil
	return &n
}

// forceJob runs a periodic job now, regardless of its schedule and its children.
func forceJob(c *Cluster, req *writeRequest) (any, error) {
	if err := req.authorize(req.namespace, "dispatch-job", "submit-job", "force-periodic-job"); err != nil {
		return nil, err
	}
	j := c.job(req.namespace, req.id)
	switch {
	case j == nil:
		return nil, fmt.Errorf("job not found")
	case j.Periodic == nil:
		return nil, fmt.Errorf("can't force launch non-periodic job")
	case j.Stop || !j.Periodic.Enabled || (j.ParameterizedJob != nil && !j.Dispatched):
		return nil, fmt.Errorf("force launch for job %q failed: can't force run non-tracked job %q (%s)", j.ID, j.ID,
			j.Namespace)
	}
	id := fmt.Sprintf("%s/periodic-%d", j.ID, time.Now().Unix())
	req.index = c.nextIndex(tableJobs, tableSummaries, tableEvaluations)
	child := c.storeVersion(c.job(req.namespace, id), j.child(id), req.index)
	e := c.evaluate(child, "periodic-job", req.index, req.index)
	return object{"EvalID": e.ID, "EvalCreateIndex": req.index, "Index": req.index}, nil
}
