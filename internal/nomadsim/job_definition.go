package nomadsim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"time"
)

// define creates the record of a registered job. Nomad's defaults fill in missing fields, and unknown fields stay in
// the definition unchanged. Tasks that are unchanged from before keep the Command with which they were described.
func (f *apiJob) define(raw object, namespace string, trusted bool, before *job) *job {
	spec := f.toSpec(namespace, trusted)
	spec.fillDefaults()
	for i, g := range f.TaskGroups {
		if spec.Groups[i].Count == 0 && g.Count == nil {
			spec.Groups[i].Count = 1
		}
	}
	j := spec.toRecord()
	j.Name, j.Priority = f.Name, cmp.Or(f.Priority, j.Priority)
	j.Region, j.NodePool = cmp.Or(f.Region, j.Region), cmp.Or(f.NodePool, j.NodePool)
	if len(f.Datacenters) > 0 {
		j.Datacenters = f.Datacenters
	}
	j.Dispatched = f.Dispatched
	j.policyIndexes = map[string]scalingPolicyIndexes{}
	for _, g := range j.groups {
		if g.Scaling != nil {
			j.policyIndexes[g.Name] = scalingPolicyIndexes{}
		}
	}
	j.keepCommands(before)
	template := jsonValue(j.describedDefinition()).(object)
	own := maps.Clone(raw)
	delete(own, "Update") // merged into the groups instead
	j.definition = mergeDefaults(template, own).(object)
	for k := range j.registrationState() {
		delete(j.definition, k)
	}
	return j
}

// keepCommands preserves the Command of described tasks, which the definition does not contain.
func (j *job) keepCommands(before *job) {
	if before == nil {
		return
	}
	for _, g := range j.groups {
		for i, t := range g.Tasks {
			if old, found := before.taskWithCommand(g.Name, t); found {
				g.Tasks[i].Command = old.Command
			}
		}
	}
}

// taskWithCommand returns the newest task with this name and configuration that has a Command.
func (j *job) taskWithCommand(group string, t Task) (Task, bool) {
	for _, v := range j.versions() {
		for _, g := range v.groups {
			for _, old := range g.Tasks {
				if g.Name == group && old.Name == t.Name && old.Command != nil &&
					reflect.DeepEqual(jsonValue(old.Config), jsonValue(t.Config)) {
					return old, true
				}
			}
		}
	}
	return Task{}, false
}

// jsonValue converts a value to its generic JSON form, with json.Number for numbers.
func jsonValue(v any) (p any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("nomadsim: " + err.Error())
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&p); err != nil {
		panic("nomadsim: " + err.Error())
	}
	return p
}

// mergeDefaults merges a registered value over Nomad's defaults. null keeps the default. Objects are merged, and
// lists of objects too, by name if they have one. The arguments are not changed.
func mergeDefaults(defaults, value any) any {
	switch v := value.(type) {
	case nil:
		return defaults
	case object:
		known, _ := defaults.(object)
		out := object{}
		maps.Copy(out, known)
		for k, e := range v {
			_, isKnown := known[k]
			if k == "Constraints" && isKnown {
				continue // Nomad adds constraints of its own
			}
			if e != nil || (isKnown && out[k] == nil) {
				out[k] = mergeDefaults(known[k], e)
			}
		}
		return out
	case []any:
		if len(v) == 0 {
			return nil
		}
		known, _ := defaults.([]any)
		out := make([]any, len(v))
		for i, e := range v {
			var same any
			sameName := func(w any) bool { return objectName(w) != "" && objectName(w) == objectName(e) }
			if k := slices.IndexFunc(known, sameName); k >= 0 {
				same = known[k]
			} else if len(known) == len(v) && objectName(e) == "" {
				same = known[i]
			}
			if _, is := e.(object); !is {
				same = nil
			}
			out[i] = mergeDefaults(same, e)
		}
		return out
	}
	return value
}

// objectName returns the Name field of an object, or "".
func objectName(v any) string {
	o, _ := v.(object)
	name, _ := o["Name"].(string)
	return name
}

// normalizedSpec returns the definition of the job without its state and without empty fields. Jobs with equal
// normalized specs behave the same.
func (j *job) normalizedSpec() object {
	all := object{}
	maps.Copy(all, j.definition)
	if j.definition == nil {
		all = j.describedDefinition()
	}
	maps.Copy(all, object{
		"Name": j.Name, "Meta": j.Meta, "Periodic": j.Periodic, "Priority": j.Priority, "Stop": j.Stop,
		"ParameterizedJob": j.ParameterizedJob,
	})
	if j.tag != nil {
		all["VersionTag"] = j.tag // Nomad considers a tagged version that is registered without its tag as changed
	}
	return prune(jsonValue(all)).(object)
}

// prune removes null and empty values, and the fields that Nomad itself adds to a scaling policy.
func prune(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, e := range v {
			if s, is := e.(object); is && k == "Scaling" {
				e = object{"Min": s["Min"], "Max": s["Max"], "Enabled": s["Enabled"], "Policy": s["Policy"]}
			}
			if e = prune(e); e != nil {
				out[k] = e
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		var out []any
		for _, e := range v {
			out = append(out, prune(e))
		}
		if out == nil {
			return nil
		}
		return out
	}
	return v
}

// nextVersion returns a copy of the job as its next version. The copy may be changed until it is stored.
func (j *job) nextVersion(index uint64) *job {
	n := *j
	n.earlierVersions = j.versions()
	n.Version++
	n.JobModifyIndex, n.ModifyIndex, n.planIndex = index, index, index
	n.SubmitTime = time.Now().UnixNano()
	n.knownStable, n.deployment = j.isStable(), nil
	n.groups = slices.Clone(j.groups)
	n.dropOldVersion()
	return &n
}

// setCount changes the count of a group.
func (j *job) setCount(group string, count int) {
	i := slices.IndexFunc(j.groups, func(g Group) bool { return g.Name == group })
	j.groups[i].Count = count
	j.updateDefinition(func(g object) {
		if g["Name"] == group {
			g["Count"] = count
		}
	})
}

// disableScaling disables the scaling policies, as Nomad does when a job is stopped. Registering the definition again
// does not enable them.
func (j *job) disableScaling() {
	for i, g := range j.groups {
		if g.Scaling != nil {
			off := *g.Scaling
			off.Disabled = true
			j.groups[i].Scaling = &off
		}
	}
	j.updateDefinition(func(g object) {
		if s, is := g["Scaling"].(object); is {
			s["Enabled"] = false
		}
	})
}

// updateDefinition changes the groups of a registered definition. It copies the definition first, because other
// versions may share it.
func (j *job) updateDefinition(change func(group object)) {
	if j.definition == nil {
		return
	}
	j.definition = jsonValue(j.definition).(object)
	groups, _ := j.definition["TaskGroups"].([]any)
	for _, g := range groups {
		change(g.(object))
	}
}
