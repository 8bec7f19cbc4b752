package jobspec

import (
	"cmp"
	"maps"
	"reflect"
)

// CanUpdateInPlace reports whether the group's allocations of another version can continue unchanged.
func (j *Registration) CanUpdateInPlace(other *Registration, g Group) bool {
	return j == other || reflect.DeepEqual(j.destructiveSpec(g.Name), other.destructiveSpec(g.Name))
}

// destructiveSpec returns the part of a group that cannot be changed in place.
func (j *Registration) destructiveSpec(group string) any {
	spec := j.NormalizedSpec()
	groups, _ := spec["TaskGroups"].([]any)
	for _, g := range groups {
		g := g.(object)
		if g["Name"] != group {
			continue
		}
		for _, k := range []string{
			"Count", "Update", "RestartPolicy", "ReschedulePolicy", "Services", "Constraints", "Migrate", "Scaling",
		} {
			delete(g, k)
		}
		tasks, _ := g["Tasks"].([]any)
		for _, t := range tasks {
			for _, k := range []string{"RestartPolicy", "Services", "Constraints", "KillTimeout", "LogConfig", "Identity"} {
				delete(t.(object), k)
			}
		}
		return []any{g, spec["Meta"]}
	}
	return nil
}

// UpdateStrategy returns the update block of a group, or nil if the job has no deployments.
func (j *Registration) UpdateStrategy(g Group) *Update {
	if j.Type != "service" {
		return nil
	}
	return cmp.Or(g.Update, &Update{})
}

// SameSpec reports whether two versions have the same normalized spec.
func (j *Registration) SameSpec(other *Registration) bool {
	return reflect.DeepEqual(j.NormalizedSpec(), other.NormalizedSpec())
}

// SameRegistration reports whether Nomad considers two definitions as the same. Nomad also compares the tokens that
// registered them. Described jobs have no token.
func (j *Registration) SameRegistration(other *Registration) bool {
	described := j.policyIndexes == nil || other.policyIndexes == nil
	return reflect.DeepEqual(j.NormalizedSpec(), other.NormalizedSpec()) &&
		(described || maps.Equal(j.policyIndexes, other.policyIndexes)) &&
		(j.TokenID == "" || other.TokenID == "" || j.TokenID == other.TokenID)
}
