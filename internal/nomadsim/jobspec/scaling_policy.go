package jobspec

import "maps"

// scalingPolicyIndexes are the indexes of a group's scaling policy in one version of the job. Nomad sets them only in
// a version that changes the policy, and includes them when it compares versions. Therefore registering or reverting
// to an equal version may create a new one.
type scalingPolicyIndexes struct{ create, modify uint64 }

// scalingPolicy is the current scaling policy of a group.
type scalingPolicy struct {
	Scaling
	scalingPolicyIndexes
}

// StoreScalingPolicies updates the scaling policies of a version that is about to be stored. before is the previous
// version. A described job has no policyIndexes; its own indexes are used.
func (j *Registration) StoreScalingPolicies(before *Registration, index uint64) {
	current := map[string]scalingPolicy{}
	if before != nil && before.scalingPolicies != nil {
		current = before.scalingPolicies
	} else if before != nil {
		for _, g := range before.Groups {
			if g.Scaling != nil {
				current[g.Name] = scalingPolicy{*g.Scaling, scalingPolicyIndexes{before.CreateIndex, before.JobModifyIndex}}
			}
		}
	}
	indexes := maps.Clone(j.policyIndexes)
	j.scalingPolicies = map[string]scalingPolicy{}
	for _, g := range j.Groups {
		if g.Scaling == nil {
			continue
		}
		p, there := current[g.Name]
		if !there || p.Scaling != *g.Scaling {
			p = scalingPolicy{*g.Scaling, scalingPolicyIndexes{p.create, index}}
			if !there {
				p.create = index
			}
			if indexes != nil {
				indexes[g.Name] = p.scalingPolicyIndexes
			}
		}
		j.scalingPolicies[g.Name] = p
	}
	if indexes == nil {
		return
	}
	j.policyIndexes = indexes
	j.updateDefinition(func(g object) {
		name, _ := g["Name"].(string)
		if s, is := g["Scaling"].(object); is {
			s["CreateIndex"], s["ModifyIndex"] = indexes[name].create, indexes[name].modify
		}
	})
}
