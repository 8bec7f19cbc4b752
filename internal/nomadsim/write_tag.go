package nomadsim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// versionTag is the tag of a job version. Nomad does not garbage-collect a tagged version, nor its job.
type versionTag struct {
	Name, Description string
	TaggedTime        int64
}

// tagVersion tags a job version.
func tagVersion(c *Cluster, req *writeRequest) (any, error) {
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
	j := c.job(req.namespace, id)
	if j == nil {
		return nil, fmt.Errorf("job %q version %d not found", id, sent.Version)
	}
	if sent.Latest {
		sent.Version = j.Version
	}
	for _, v := range j.versions() {
		if v.tag != nil && v.tag.Name == name && v.Version != sent.Version {
			return nil, fmt.Errorf("tag %q already exists on a different version of job %q", name, id)
		}
	}
	if j.findVersion(sent.Version) == nil {
		return nil, fmt.Errorf("job %q version %d not found", id, sent.Version)
	}
	tag := &versionTag{Name: name, Description: sent.Description, TaggedTime: time.Now().UnixNano()}
	return req.setTag(c, j, sent.Version, tag), nil
}

// untagVersion removes a tag. A version that was only kept for its tag is dropped.
func untagVersion(c *Cluster, req *writeRequest) (any, error) {
	id, name, err := req.tagPath()
	if err != nil {
		return nil, err
	}
	if err := req.authorize(req.namespace, "submit-job", "tag-job-version"); err != nil {
		return nil, err
	}
	if j := c.job(req.namespace, id); j != nil {
		for _, v := range j.versions() {
			if v.tag != nil && v.tag.Name == name {
				return req.setTag(c, j, v.Version, nil), nil
			}
		}
	}
	return nil, fmt.Errorf("tag %q not found on job %q", name, id)
}

// tagPath splits the path into the job ID and the name of the tag.
func (req *writeRequest) tagPath() (id, name string, err error) {
	i := strings.LastIndex(req.id, "/versions/")
	if i < 0 || strings.Contains(req.id[:i]+req.id[i+len("/versions/"):], "/") {
		return "", "", httpError{http.StatusNotFound, "invalid job tag endpoint"}
	}
	return req.id[:i], req.id[i+len("/versions/"):], nil
}

// setTag stores a version with another tag, or none, and returns the response.
func (req *writeRequest) setTag(c *Cluster, before *job, version uint64, tag *versionTag) object {
	req.index, req.noIndex = c.nextIndex(tableJobs), true
	j := *before
	j.earlierVersions = slices.Clone(j.earlierVersions)
	if j.Version == version {
		j.tag, j.ModifyIndex = tag, req.index
	}
	for i, v := range j.earlierVersions {
		if v.Version == version {
			w := *v
			w.tag, w.ModifyIndex = tag, req.index
			j.earlierVersions[i] = &w
		}
	}
	j.dropOldVersion()
	c.storeJob(&j, req.index)
	if tag == nil {
		tag = &versionTag{}
	}
	return object{
		"Name": tag.Name, "Description": tag.Description, "TaggedTime": tag.TaggedTime,
		"Index": req.index, "KnownLeader": false, "LastContact": 0, "NextToken": "",
	}
}

// maxUntaggedVersions is the number of untagged versions that Nomad keeps for each job.
const maxUntaggedVersions = 6

// dropOldVersion drops the oldest version if there are too many. Tagged versions do not count, and the newest stable
// version is kept. j.earlierVersions must not be shared.
func (j *job) dropOldVersion() {
	counted := slices.DeleteFunc(j.versions(), func(v *job) bool { return v.tag != nil })
	if len(counted) <= maxUntaggedVersions {
		return
	}
	drop := counted[maxUntaggedVersions]
	if slices.IndexFunc(counted, (*job).isStable) == maxUntaggedVersions {
		drop = counted[maxUntaggedVersions-1]
	}
	j.earlierVersions = slices.DeleteFunc(j.earlierVersions, func(v *job) bool { return v == drop })
}
