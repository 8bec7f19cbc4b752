package sim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"time"
)

// define makes the record of a job that is registered: what it does not say it has from Nomad's defaults, and what
// nobody here knows stays in its definition as it was sent. Programs of the tasks that it took over unchanged from
// before still run as they were described.
func (f *apiJob) define(raw object, namespace string, trusted bool, before *job) *job {
	spec := f.describe(namespace, trusted)
	spec.complete()
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
	delete(own, "Update") // which belongs to the groups
	j.definition = mergeDefaults(template, own, "").(object)
	for k := range j.registrationState() {
		delete(j.definition, k)
	}
	return j
}

// keepCommands lets the tasks that were described with a program of their own go on running it, whatever the definition
// shows in its place.
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

// taskWithCommand returns the newest task of that name and configuration with a program.
func (j *job) taskWithCommand(group string, t Task) (Task, bool) {
	for _, v := range j.versions() {
		for _, g := range v.groups {
			for _, old := range g.Tasks {
				if g.Name == group && old.Name == t.Name && old.Command != nil && reflect.DeepEqual(jsonValue(old.Config), jsonValue(t.Config)) {
					return old, true
				}
			}
		}
	}
	return Task{}, false
}

// jsonValue turns a value into what its JSON says, numbers as they are written.
func jsonValue(v any) (p any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("sim: " + err.Error())
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&p); err != nil {
		panic("sim: " + err.Error())
	}
	return p
}

// mergeDefaults lays what was sent over what Nomad would make of less: null leaves what is there, objects are merged, as are
// lists of objects, by name where they have one. Neither is changed.
func mergeDefaults(under, over any, place string) any {
	switch o := over.(type) {
	case nil:
		return under
	case object:
		u, _ := under.(object)
		out := object{}
		maps.Copy(out, u)
		for k, v := range o {
			_, known := u[k]
			if k == "Constraints" && known {
				continue // which Nomad adds its own to
			}
			if v != nil || (known && out[k] == nil) {
				out[k] = mergeDefaults(u[k], v, k)
			}
		}
		return out
	case []any:
		if len(o) == 0 {
			return nil
		}
		u, _ := under.([]any)
		out := make([]any, len(o))
		for i, v := range o {
			var same any
			if k := slices.IndexFunc(u, func(w any) bool { return objectName(w) != "" && objectName(w) == objectName(v) }); k >= 0 {
				same = u[k]
			} else if len(u) == len(o) && objectName(v) == "" {
				same = u[i]
			}
			if _, is := v.(object); !is {
				same = nil
			}
			out[i] = mergeDefaults(same, v, place)
		}
		return out
	}
	return over
}

// objectName is the name of an object that has one.
func objectName(v any) string {
	o, _ := v.(object)
	name, _ := o["Name"].(string)
	return name
}

// normalizedSpec is the whole definition of a job but for its state, without what is empty: two that are equal run the same.
func (j *job) normalizedSpec() object {
	all := object{}
	maps.Copy(all, j.definition)
	if j.definition == nil {
		all = j.describedDefinition()
	}
	all["Name"], all["Meta"], all["Periodic"], all["Priority"], all["Stop"] = j.Name, j.Meta, j.Periodic, j.Priority, j.Stop
	all["ParameterizedJob"] = j.ParameterizedJob
	if j.tag != nil {
		all["VersionTag"] = j.tag // to Nomad, who registers a tagged version without its tag changes it
	}
	return prune(jsonValue(all)).(object)
}

// prune drops what is null or empty, and what Nomad itself writes into a scaling policy.
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

// nextVersion returns a copy of a job as its next version, which may be changed until it is stored.
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

// setCount changes how many allocations a group is to have.
func (j *job) setCount(group string, count int) {
	i := slices.IndexFunc(j.groups, func(g Group) bool { return g.Name == group })
	j.groups[i].Count = count
	j.updateDefinition(func(g object) {
		if g["Name"] == group {
			g["Count"] = count
		}
	})
}

// disableScaling switches the scaling policies off, as Nomad does when a job is stopped: whoever registers the
// definition again has to switch them on.
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

// updateDefinition changes the groups of the definition that the job was registered with, if it was, which other versions may
// share.
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
