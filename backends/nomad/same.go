package nomad

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// ofNomad are the fields of a job that Nomad sets itself, and Stop.
var ofNomad = map[string]bool{
	"CreateIndex": true, "ModifyIndex": true, "JobModifyIndex": true, "Version": true, "Status": true, "StatusDescription": true,
	"SubmitTime": true, "Stable": true, "NomadTokenID": true, "VersionTag": true, "Stop": true,
}

// same reports whether two definitions ask for the same.
func same(a, b json.RawMessage) bool {
	x, okX := asked(a)
	y, okY := asked(b)
	return okX && okY && reflect.DeepEqual(x, y)
}

// asked returns what somebody has asked for in a definition.
func asked(raw json.RawMessage) (map[string]any, bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var job map[string]any
	if d.Decode(&job) != nil {
		return nil, false
	}
	for field := range ofNomad {
		delete(job, field)
	}
	groups, _ := job["TaskGroups"].([]any)
	for _, group := range groups {
		g, _ := group.(map[string]any)
		if policy, _ := g["Scaling"].(map[string]any); policy != nil {
			for _, field := range []string{"ID", "CreateIndex", "ModifyIndex"} {
				delete(policy, field)
			}
		}
	}
	pruned, _ := prune(job).(map[string]any)
	return pruned, pruned != nil
}

// prune takes away what is empty: Nomad does not tell an empty list from none.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if pruned := prune(value); pruned == nil {
				delete(v, key)
			} else {
				v[key] = pruned
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	case string:
		if v == "" {
			return nil
		}
	}
	return v
}
