package sim

import "maps"

// scalingPolicyIndexes are those of the scaling policy of a group, as one version of the job shows them. Nomad sets them only
// where a version changes the policy, and compares them when it looks for changes: so a version that is registered again,
// or that a job is reverted to, may be a new one although nothing else differs.
type scalingPolicyIndexes struct{ create, modify uint64 }

// scalingPolicy is the current policy of a group.
type scalingPolicy struct {
	Scaling
	scalingPolicyIndexes
}

// storeScalingPolicies brings the scaling policies up to date with a version of before that is about to be stored. A job that
// was described has policies without such indexes.
func (j *job) storeScalingPolicies(before *job, index uint64) {
	current := map[string]scalingPolicy{}
	if before != nil && before.scalingPolicies != nil {
		current = before.scalingPolicies
	} else if before != nil {
		for _, g := range before.groups {
			if g.Scaling != nil {
				current[g.Name] = scalingPolicy{*g.Scaling, scalingPolicyIndexes{before.CreateIndex, before.JobModifyIndex}}
			}
		}
	}
	shown := maps.Clone(j.policyIndexes)
	j.scalingPolicies = map[string]scalingPolicy{}
	for _, g := range j.groups {
		if g.Scaling == nil {
			continue
		}
		p, there := current[g.Name]
		if !there || p.Scaling != *g.Scaling {
			p = scalingPolicy{*g.Scaling, scalingPolicyIndexes{p.create, index}}
			if !there {
				p.create = index
			}
			if shown != nil {
				shown[g.Name] = p.scalingPolicyIndexes
			}
		}
		j.scalingPolicies[g.Name] = p
	}
	if shown == nil {
		return
	}
	j.policyIndexes = shown
	j.updateDefinition(func(g object) {
		name, _ := g["Name"].(string)
		if s, is := g["Scaling"].(object); is {
			s["CreateIndex"], s["ModifyIndex"] = shown[name].create, shown[name].modify
		}
	})
}
