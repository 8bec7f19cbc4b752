package agent

import (
	"reflect"
	"testing"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

func TestContainer_LogSettings(t *testing.T) {
	capped := map[string]string{"max-file": "2", "max-size": "2m"}
	for name, tc := range map[string]struct {
		config  map[string]any
		driver  string
		options map[string]string
	}{
		"no config":       {nil, "json-file", capped},
		"no logging":      {map[string]any{"image": "web:1"}, "json-file", capped},
		"empty logging":   {map[string]any{"logging": object{}}, "json-file", capped},
		"type alone":      {map[string]any{"logging": object{"type": "json-file"}}, "json-file", nil},
		"driver":          {map[string]any{"logging": object{"driver": "none"}}, "none", nil},
		"type and driver": {map[string]any{"logging": object{"type": "local", "driver": "none"}}, "local", nil},
		"options alone": {
			map[string]any{"logging": object{"config": object{"max-size": "1m"}}}, "", map[string]string{"max-size": "1m"},
		},
		"blocks as lists": {
			map[string]any{
				"logging": []any{object{"type": "json-file", "config": []any{object{"max-size": "20k", "max-file": 3}}}},
			},
			"json-file",
			map[string]string{"max-size": "20k", "max-file": "3"},
		},
	} {
		got := ContainerOf(&store.Allocation{ID: "5f1c", Group: jobspec.Group{
			Tasks: []jobspec.Task{{Name: "a/b", Driver: "docker", Config: tc.config}},
		}}, "a/b")
		want := Container{
			Name: "a_b-5f1c", Labels: map[string]string{"com.hashicorp.nomad.alloc_id": "5f1c"},
			LogDriver: tc.driver, LogOptions: tc.options,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}
