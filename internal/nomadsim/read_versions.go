package nomadsim

import (
	"cmp"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// jobVersions returns the versions of a job and, on request, the difference of each version to the previous one.
func jobVersions(q *query, j *store.Job) (any, error) {
	diffs, err := q.flag("diffs", false)
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, jobspec.NotFound("job versions not found")
	}
	q.resultIndex = cmp.Or(j.ModifyIndex, q.resultIndex)
	versions, differences := []object{}, []jobspec.Diff(nil)
	all := j.Versions()
	for i, v := range all {
		versions = append(versions, v.Detail())
		if diffs && i+1 < len(all) {
			differences = append(differences, v.Diff(&all[i+1].Registration))
		}
	}
	return object{
		"Versions": versions, "Diffs": differences, "Index": q.resultIndex, "KnownLeader": true, "LastContact": 0,
		"NextToken": "",
	}, nil
}
