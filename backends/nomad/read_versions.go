package nomad

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Versions reads the versions with Nomad's own diffs.
func (c *Client) Versions(ctx context.Context, job backends.Job) ([]backends.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	type found struct {
		Versions []json.RawMessage
		Diffs    []*api.JobDiff
	}
	response, err := readObject(ctx, c, job.Namespace, capReadJob,
		func(q *api.QueryOptions) (f found, meta *api.QueryMeta, err error) {
			meta, err = c.reads.Raw().Query(jobPath(job, "/versions?diffs=true"), &f, q)
			return f, meta, err
		})
	if err != nil {
		return nil, err
	}
	versions := make([]backends.Version, len(response.Versions))
	for i, definition := range response.Versions {
		if versions[i], err = parseVersion(definition); err != nil {
			return nil, fmt.Errorf("versions of %s: %w", job.ID, err)
		}
		if i < len(response.Diffs) && response.Diffs[i] != nil { // the oldest version has none
			versions[i].Changes = changesOf(response.Diffs[i])
		}
	}
	slices.SortFunc(versions, func(a, b backends.Version) int { return cmp.Compare(b.Number, a.Number) })
	return versions, nil
}

// parseVersion converts one version of a job.
func parseVersion(definition json.RawMessage) (backends.Version, error) {
	var v struct {
		Version     uint64
		Stable      bool
		Stop        bool
		SubmitTime  int64
		CreateIndex uint64
		VersionTag  *struct{ Name string }
	}
	if err := json.Unmarshal(definition, &v); err != nil {
		return backends.Version{}, explain(err)
	}
	release, err := backends.ReleaseOf(definition)
	if err != nil {
		return backends.Version{}, err
	}
	one := backends.Version{
		Number: v.Version, Stable: v.Stable, Stopped: v.Stop, Submitted: time.Unix(0, v.SubmitTime).UTC(),
		CreateIndex: v.CreateIndex, Release: release, Definition: definition,
	}
	if v.VersionTag != nil {
		one.Tag = v.VersionTag.Name
	}
	return one, nil
}

// changesOf returns the changed fields, sorted by path.
func changesOf(d *api.JobDiff) []backends.Change {
	all := []backends.Change{} // not nil: nil means that there is no version to compare with
	all = appendFields(all, "", d.Fields)
	all = appendObjects(all, "", d.Objects)
	for _, g := range d.TaskGroups {
		all = appendFields(all, g.Name, g.Fields)
		all = appendObjects(all, g.Name, g.Objects)
		for _, t := range g.Tasks {
			path := joinPath(g.Name, "task "+t.Name)
			all = appendFields(all, path, t.Fields)
			all = appendObjects(all, path, t.Objects)
		}
	}
	slices.SortFunc(all, func(a, b backends.Change) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Old, b.Old), strings.Compare(a.New, b.New))
	})
	return all
}

// appendFields appends the changed fields of an object, except those that Nomad sets itself.
func appendFields(all []backends.Change, path string, fields []*api.FieldDiff) []backends.Change {
	for _, f := range fields {
		if f.Type == "None" || f.Old == f.New || path == "" && f.Name != "Stop" && backends.NonReleaseFields[f.Name] {
			continue
		}
		all = append(all, backends.Change{Path: joinPath(path, f.Name), Old: f.Old, New: f.New})
	}
	return all
}

// appendObjects appends the changed fields of nested objects.
func appendObjects(all []backends.Change, path string, objects []*api.ObjectDiff) []backends.Change {
	for _, o := range objects {
		if path == "" && backends.NonReleaseFields[o.Name] {
			continue
		}
		all = appendFields(all, joinPath(path, o.Name), o.Fields)
		all = appendObjects(all, joinPath(path, o.Name), o.Objects)
	}
	return all
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + " > " + name
}
