package sim

import (
	"fmt"
	"maps"
	"strings"
)

// Container is a container as Nomad's docker driver requests it from Docker for a task. The simulator starts none; a
// test that needs a real one starts it with these settings.
type Container struct {
	Name       string
	Labels     map[string]string
	LogDriver  string            // "" is the daemon's default
	LogOptions map[string]string // of the log driver
}

// Container returns the container of a task of an allocation. It panics if there is no such task of the docker driver.
func (c *Cluster) Container(allocation, task string) Container {
	c.mu.RLock()
	a := c.byID[allocation]
	c.mu.RUnlock()
	if a == nil {
		panic("sim: no allocation " + allocation)
	}
	t, found := a.task(task)
	if !found || t.Driver != "docker" {
		panic(fmt.Sprintf("sim: allocation %s has no task %q of the docker driver", allocation, task))
	}
	container := Container{
		Name:   strings.ReplaceAll(task, "/", "_") + "-" + allocation,
		Labels: map[string]string{"com.hashicorp.nomad.alloc_id": allocation},
	}
	container.LogDriver, container.LogOptions = dockerLog(t.Config)
	return container
}

// dockerLog returns the log driver and its options for the config block of a task. Without a logging block, or with an
// empty one, the driver's own default applies: Docker keeps 2 files of 2 MB, less than the 10 files of 10 MB that Nomad
// keeps. A block with a type and without options has no limit.
func dockerLog(config map[string]any) (driver string, options map[string]string) {
	for _, logging := range blocks(config["logging"]) {
		for _, key := range []string{"driver", "type"} { // type wins
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

// defaultDockerLog is the default of the logging block in the docker driver's plugin configuration.
var defaultDockerLog = map[string]string{"max-file": "2", "max-size": "2m"}

// blocks returns the blocks of a job file's config: an object or a list of objects.
func blocks(v any) (all []object) {
	switch v := plain(v).(type) {
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
