package jobspec

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// Define returns the registration of a job from a request. Nomad's defaults fill in missing fields, and unknown fields
// stay in the definition unchanged. before contains the earlier versions, latest first. Tasks that are unchanged keep
// the Command with which they were described. If trusted is false, commands in the definition are not run.
func Define(f *api.Job, raw object, namespace string, trusted bool, before []*Registration) *Registration {
	spec := toSpec(f, namespace, trusted)
	spec.FillDefaults()
	for i, g := range f.TaskGroups {
		if spec.Groups[i].Count == 0 && g.Count == nil {
			spec.Groups[i].Count = 1
		}
	}
	registered := spec.Register()
	j := &registered
	j.Name, j.Priority = *f.Name, cmp.Or(value(f.Priority), j.Priority)
	j.Region, j.NodePool = cmp.Or(value(f.Region), j.Region), cmp.Or(value(f.NodePool), j.NodePool)
	if len(f.Datacenters) > 0 {
		j.Datacenters = f.Datacenters
	}
	j.Dispatched = f.Dispatched
	j.policyIndexes = map[string]scalingPolicyIndexes{}
	for _, g := range j.Groups {
		if g.Scaling != nil {
			j.policyIndexes[g.Name] = scalingPolicyIndexes{}
		}
	}
	j.keepCommands(before)
	template := JSONValue(j.describedDefinition()).(object)
	own := maps.Clone(raw)
	delete(own, "Update") // merged into the groups instead
	j.definition = mergeDefaults(template, own).(object)
	for k := range j.registrationState() {
		delete(j.definition, k)
	}
	delete(j.definition, "Stable")
	return j
}

// keepCommands preserves the Command of described tasks, which the definition does not contain.
func (j *Registration) keepCommands(before []*Registration) {
	for _, g := range j.Groups {
		for i, t := range g.Tasks {
			if old, found := taskWithCommand(before, g.Name, t); found {
				g.Tasks[i].Command = old.Command
			}
		}
	}
}

// taskWithCommand returns the newest task with this name and configuration that has a Command.
func taskWithCommand(versions []*Registration, group string, t Task) (Task, bool) {
	for _, v := range versions {
		for _, g := range v.Groups {
			for _, old := range g.Tasks {
				if g.Name == group && old.Name == t.Name && old.Command != nil &&
					reflect.DeepEqual(JSONValue(old.Config), JSONValue(t.Config)) {
					return old, true
				}
			}
		}
	}
	return Task{}, false
}

// JSONValue converts a value to its generic JSON form, with json.Number for numbers.
func JSONValue(v any) (p any) {
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

// NormalizedSpec returns the definition of the job without its state and without empty fields. Jobs with equal
// normalized specs behave the same.
func (j *Registration) NormalizedSpec() object {
	all := object{}
	maps.Copy(all, j.definition)
	if j.definition == nil {
		all = j.describedDefinition()
	}
	maps.Copy(all, object{
		"Name": j.Name, "Meta": j.Meta, "Periodic": j.Periodic, "Priority": j.Priority, "Stop": j.Stop,
		"ParameterizedJob": j.ParameterizedJob,
	})
	if j.Tag != nil {
		all["VersionTag"] = j.Tag // to Nomad, registering a tagged version without its tag is a change
	}
	return prune(JSONValue(all)).(object)
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

// SetCount changes the count of a group.
func (j *Registration) SetCount(group string, count int) {
	i := slices.IndexFunc(j.Groups, func(g Group) bool { return g.Name == group })
	j.Groups[i].Count = count
	j.updateDefinition(func(g object) {
		if g["Name"] == group {
			g["Count"] = count
		}
	})
}

// DisableScaling disables the scaling policies, as Nomad does when a job is stopped. Registering the definition again
// does not enable them.
func (j *Registration) DisableScaling() {
	for i, g := range j.Groups {
		if g.Scaling != nil {
			off := *g.Scaling
			off.Disabled = true
			j.Groups[i].Scaling = &off
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
func (j *Registration) updateDefinition(change func(group object)) {
	if j.definition == nil {
		return
	}
	j.definition = JSONValue(j.definition).(object)
	groups, _ := j.definition["TaskGroups"].([]any)
	for _, g := range groups {
		change(g.(object))
	}
}
