package agent

import (
	"fmt"
	"maps"
	"strings"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// Container contains the settings with which Nomad's docker driver creates the container of a task. The simulator
// creates no containers. Tests use these settings to create real ones.
type Container struct {
	Name       string
	Labels     map[string]string
	LogDriver  string            // "": the daemon's default
	LogOptions map[string]string // of the log driver
}

// dockerLog returns the log driver and the log options for a task's config block. Without a logging block, or with an
// empty one, the default of the plugin configuration applies: Docker's log has 2 files of 2 MB. (Nomad's own log
// files are separate: 10 of 10 MB.) A block with a type and without options has no limit.
func dockerLog(config map[string]any) (driver string, options map[string]string) {
	for _, logging := range blocks(config["logging"]) {
		for _, key := range []string{"driver", "type"} { // type takes precedence
			if s, _ := logging[key].(string); s != "" {
				driver = s
			}
		}
		for _, block := range blocks(logging["config"]) {
			if options == nil {
				options = map[string]string{}
			}
			for key, value := range block {
				options[key] = fmt.Sprint(value)
			}
		}
	}
	if driver == "" && options == nil {
		return "json-file", maps.Clone(defaultDockerLog)
	}
	return driver, options
}

// defaultDockerLog is the default logging block of the docker plugin configuration.
var defaultDockerLog = map[string]string{"max-file": "2", "max-size": "2m"}

// blocks returns the blocks of a job's config, which are an object or a list of objects.
func blocks(v any) (all []object) {
	switch v := jobspec.JSONValue(v).(type) {
	case object:
		all = append(all, v)
	case []any:
		for _, e := range v {
			if block, is := e.(object); is {
				all = append(all, block)
			}
		}
	}
	return all
}

// ContainerOf returns the settings for a task of an allocation. It panics if the task does not exist or does not use
// the docker driver.
func ContainerOf(a *store.Allocation, task string) Container {
	t, found := a.Task(task)
	if !found || t.Driver != "docker" {
		panic(fmt.Sprintf("nomadsim: allocation %s has no task %q of the docker driver", a.ID, task))
	}
	container := Container{
		Name:   strings.ReplaceAll(task, "/", "_") + "-" + a.ID,
		Labels: map[string]string{"com.hashicorp.nomad.alloc_id": a.ID},
	}
	container.LogDriver, container.LogOptions = dockerLog(t.Config)
	return container
}
