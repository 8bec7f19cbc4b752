package jobspec

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// This file computes the differences between two versions of a job, in Nomad's format. It covers all fields and
// objects of jobs, groups and tasks that both definitions contain. Like Nomad, it compares the objects in lists by
// their content, not by their index.

// fieldDiff is a changed value, or an unchanged one that is shown for context.
type fieldDiff struct {
	Type, Name, Old, New string
	Annotations          []string
}

type objectDiff struct {
	Type, Name string
	Fields     []fieldDiff
	Objects    []objectDiff
}

type taskDiff struct {
	objectDiff
	Annotations []string
}

type groupDiff struct {
	objectDiff
	Tasks   []taskDiff
	Updates map[string]int
}

// Diff is the difference between two versions of a job.
type Diff struct {
	Type, ID   string
	Fields     []fieldDiff
	Objects    []objectDiff
	TaskGroups []groupDiff
}

// Diff compares a version with the previous one.
func (j *Registration) Diff(before *Registration) Diff {
	old, now := JSONValue(before.Detail()).(object), JSONValue(j.Detail()).(object)
	for _, o := range []object{old, now} {
		for _, k := range []string{
			"ID", "Status", "StatusDescription", "Version", "CreateIndex", "ModifyIndex", "JobModifyIndex", "Update",
			"SubmitTime", "NomadTokenID", "VersionTag", "Payload",
		} {
			delete(o, k)
		}
	}
	d := Diff{ID: j.ID}
	whole := diffObjects("", old, now, "TaskGroups")
	d.Type, d.Fields, d.Objects = whole.Type, whole.Fields, whole.Objects
	pairByName(old["TaskGroups"], now["TaskGroups"], func(name string, old, now object) {
		g := diffGroup(name, old, now)
		d.TaskGroups = append(d.TaskGroups, g)
		if g.Type != "None" && d.Type == "None" {
			d.Type = "Edited"
		}
	})
	return d
}

func diffGroup(name string, old, now object) groupDiff {
	g := groupDiff{objectDiff: diffObjects(name, old, now, "Tasks", "Name", "Stagger")}
	pairByName(old["Tasks"], now["Tasks"], func(name string, old, now object) {
		t := taskDiff{objectDiff: diffObjects(name, old, now, "Name", "RestartPolicy")}
		g.Tasks = append(g.Tasks, t)
		if t.Type != "None" && g.Type == "None" {
			g.Type = "Edited"
		}
	})
	return g
}

// pairByName calls do for each name in two lists of objects, in sorted order. An object that is missing in one list
// is nil.
func pairByName(old, now any, do func(name string, old, now object)) {
	both := map[string][2]object{}
	for i, list := range []any{old, now} {
		all, _ := list.([]any)
		for _, v := range all {
			pair := both[objectName(v)]
			pair[i] = v.(object)
			both[objectName(v)] = pair
		}
	}
	for _, name := range slices.Sorted(maps.Keys(both)) {
		do(name, both[name][0], both[name][1])
	}
}

// diffObjects compares two jobs, groups or tasks, except for the keys in except. One of the objects may be nil.
func diffObjects(name string, old, now object, except ...string) objectDiff {
	d := objectDiff{Name: name, Type: addedOrDeleted(old == nil, now == nil)}
	d.Fields = diffFields(old, now, false, except, false)
	keys := map[string]bool{}
	for _, o := range []object{old, now} {
		for k := range o {
			keys[k] = !slices.Contains(except, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if keys[k] && !isFlat(k) {
			d.Objects = append(d.Objects, diffNested(k, old[k], now[k])...)
		}
	}
	if d.Type == "" {
		d.Type = "None"
		if len(d.Fields)+len(d.Objects) > 0 {
			d.Type = "Edited"
		}
	}
	return d
}

// isFlat reports whether the entries of an object count as fields of its parent.
func isFlat(key string) bool { return key == "Env" || key == "Meta" }

func addedOrDeleted(added, deleted bool) string {
	switch {
	case added:
		return "Added"
	case deleted:
		return "Deleted"
	}
	return ""
}

// diffNested compares values that are not fields: objects, lists of objects, or lists of strings.
func diffNested(key string, old, now any) (all []objectDiff) {
	a, isA := old.(object)
	b, isB := now.(object)
	if isA || isB {
		d := objectDiff{Name: key, Type: addedOrDeleted(!isA, !isB)}
		if d.diffContents(key, a, b); !anyChanged(d.Fields) && d.Objects == nil {
			return nil
		}
		d.Type = cmp.Or(d.Type, "Edited")
		return []objectDiff{d}
	}
	before, after := entriesByText(old), entriesByText(now)
	for _, text := range slices.Sorted(maps.Keys(after)) {
		if before[text] == nil {
			all = append(all, diffEntry(key, nil, after[text]))
		}
	}
	for _, text := range slices.Sorted(maps.Keys(before)) {
		if after[text] == nil {
			all = append(all, diffEntry(key, before[text], nil))
		}
	}
	if _, isObject := cmp.Or(anyEntry(before), anyEntry(after)).(object); isObject || len(all) == 0 {
		return all
	}
	d := objectDiff{Name: key, Type: "Edited"}
	switch {
	case len(before) == 0:
		d.Type = "Added"
	case len(after) == 0:
		d.Type = "Deleted"
	}
	for _, o := range all {
		d.Fields = append(d.Fields, o.Fields...)
	}
	return []objectDiff{d}
}

// diffEntry returns the difference for an added or deleted list entry.
func diffEntry(key string, old, now any) objectDiff {
	a, isA := old.(object)
	b, isB := now.(object)
	d := objectDiff{Name: entryName(key), Type: addedOrDeleted(old == nil, now == nil)}
	if isA || isB {
		d.diffContents(key, a, b)
		return d
	}
	f := fieldDiff{Type: d.Type, Name: key}
	if old != nil {
		f.Old = fmt.Sprint(old)
	} else {
		f.New = fmt.Sprint(now)
	}
	d.Fields = []fieldDiff{f}
	return d
}

// diffContents compares the contents of two objects. One of them may be nil. In the Config of a task, nested
// values become fields of the diff. Under other keys, nested objects become objects of the diff.
func (d *objectDiff) diffContents(key string, old, now object) {
	if key == "Scaling" { // without Nomad's own fields and without context
		own := []string{"ID", "Type", "Target", "CreateIndex", "ModifyIndex"}
		d.Fields, d.Objects = diffFields(old, now, false, own, false), diffObjects("", old, now, own...).Objects
		return
	}
	d.Fields = diffFields(old, now, true, []string{"Stagger"}, key == "Config")
	if key == "Config" {
		return
	}
	d.Objects = diffObjects("", old, now).Objects
}

// entryName returns Nomad's name for one entry of a list.
func entryName(key string) string {
	switch key {
	case "DynamicPorts":
		return "Dynamic Port"
	case "ReservedPorts":
		return "Static Port"
	case "Affinities":
		return "Affinity"
	case "Identities":
		return "Identity"
	}
	if l := len(key); l > 1 && key[l-1] == 's' {
		return key[:l-1]
	}
	return key
}

func entriesByText(list any) map[string]any {
	out := map[string]any{}
	all, _ := list.([]any)
	for _, v := range all {
		out[fmt.Sprint(v)] = v
	}
	return out
}

func anyEntry(m map[string]any) any {
	for _, v := range m {
		return v
	}
	return nil
}

// diffFields compares the values of two objects. If deep is set, it includes nested values. If context is set, it
// includes unchanged values.
func diffFields(old, now object, context bool, except []string, deep bool) (all []fieldDiff) {
	a, b := map[string]string{}, map[string]string{}
	flatten(old, "", deep, except, a)
	flatten(now, "", deep, except, b)
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := fieldDiff{Name: name, Old: a[name], New: b[name], Type: "Edited"}
		switch {
		case f.Old == f.New:
			f.Type = "None"
		case f.Old == "":
			f.Type = "Added"
		case f.New == "":
			f.Type = "Deleted"
		}
		if f.Type != "None" || context {
			all = append(all, f)
		}
	}
	return all
}

func anyChanged(all []fieldDiff) bool {
	return slices.ContainsFunc(all, func(f fieldDiff) bool { return f.Type != "None" })
}

// flatten collects the values of an object by name. If deep is set, it includes nested values.
func flatten(o object, prefix string, deep bool, except []string, out map[string]string) {
	for k, v := range o {
		name := k
		if prefix != "" {
			name = prefix + "[" + k + "]"
		}
		switch v := v.(type) {
		case object:
			if deep || isFlat(k) {
				flatten(v, name, true, nil, out)
			}
		case []any:
			for i := range v {
				if deep {
					flatten(object{fmt.Sprint(i): v[i]}, name, true, nil, out)
				}
			}
		default:
			if v != nil && !slices.Contains(except, k) {
				out[name] = fmt.Sprint(v)
			}
		}
	}
}
