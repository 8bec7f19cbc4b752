package nomadsim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// tagVersion tags a job version.
func tagVersion(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	var sent struct {
		Version     uint64
		Latest      bool
		Description string
	}
	id, name, err := req.tagPath()
	if err != nil {
		return nil, err
	}
	if err := req.decode(&sent); err != nil {
		return nil, err
	}
	if err := req.authorize(req.namespace, "submit-job", "tag-job-version"); err != nil {
		return nil, err
	}
	if sent.Latest && sent.Version > 0 {
		return nil, fmt.Errorf("version must be zero when tagging latest, got: %d", sent.Version)
	}
	j := st.Job(req.namespace, id)
	if j == nil {
		return nil, fmt.Errorf("job %q version %d not found", id, sent.Version)
	}
	if sent.Latest {
		sent.Version = j.Version
	}
	for _, v := range j.Versions() {
		if v.Tag != nil && v.Tag.Name == name && v.Version != sent.Version {
			return nil, fmt.Errorf("tag %q already exists on a different version of job %q", name, id)
		}
	}
	if j.FindVersion(sent.Version) == nil {
		return nil, fmt.Errorf("job %q version %d not found", id, sent.Version)
	}
	tag := &jobspec.VersionTag{Name: name, Description: sent.Description, TaggedTime: time.Now().UnixNano()}
	return req.setTag(st, j, sent.Version, tag), nil
}

// untagVersion removes a tag. A version that was only retained for its tag is dropped.
func untagVersion(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	id, name, err := req.tagPath()
	if err != nil {
		return nil, err
	}
	if err := req.authorize(req.namespace, "submit-job", "tag-job-version"); err != nil {
		return nil, err
	}
	if j := st.Job(req.namespace, id); j != nil {
		for _, v := range j.Versions() {
			if v.Tag != nil && v.Tag.Name == name {
				return req.setTag(st, j, v.Version, nil), nil
			}
		}
	}
	return nil, fmt.Errorf("tag %q not found on job %q", name, id)
}

// tagPath splits the path into the job ID and the name of the tag.
func (req *writeRequest) tagPath() (id, name string, err error) {
	i := strings.LastIndex(req.id, "/versions/")
	if i < 0 || strings.Contains(req.id[:i]+req.id[i+len("/versions/"):], "/") {
		return "", "", jobspec.NotFound("invalid job tag endpoint")
	}
	return req.id[:i], req.id[i+len("/versions/"):], nil
}

// setTag stores a version with another tag, or none, and returns the response.
func (req *writeRequest) setTag(st *store.State, before *store.Job, version uint64, tag *jobspec.VersionTag) object {
	req.index, req.noIndex = st.NextIndex(store.TableJobs), true
	j := *before
	j.EarlierVersions = slices.Clone(j.EarlierVersions)
	if j.Version == version {
		j.Tag, j.ModifyIndex = tag, req.index
	}
	for i, v := range j.EarlierVersions {
		if v.Version == version {
			w := *v
			w.Tag, w.ModifyIndex = tag, req.index
			j.EarlierVersions[i] = &w
		}
	}
	j.DropOldVersion()
	st.StoreJob(&j, req.index)
	if tag == nil {
		tag = &jobspec.VersionTag{}
	}
	return object{
		"Name": tag.Name, "Description": tag.Description, "TaggedTime": tag.TaggedTime,
		"Index": req.index, "KnownLeader": false, "LastContact": 0, "NextToken": "",
	}
}
