package agent

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// AllocDir is the directory of an allocation, with Nomad's layout.
type AllocDir struct {
	path string

	mu   sync.Mutex          // guards logs
	logs map[string]*logFile // by "task.stream"
}

// logDir holds the logs of all tasks of an allocation.
const logDir = "alloc/logs"

const mib = 1 << 20

// build creates the directories, and empty logs for tasks that have already started.
func (d *AllocDir) build(a *store.Allocation) error {
	dirs := []string{"alloc/data", logDir, "alloc/tmp"}
	for _, t := range a.Group.Tasks {
		for _, sub := range []string{"local", "private", "secrets", "tmp"} {
			dirs = append(dirs, filepath.Join(t.Name, sub))
		}
	}
	for _, dir := range dirs {
		if !filepath.IsLocal(dir) {
			return fmt.Errorf("%q leaves the directory of the allocation", dir)
		}
		if err := os.MkdirAll(filepath.Join(d.path, dir), 0o700); err != nil {
			return err
		}
	}
	for _, t := range a.Group.Tasks {
		if s := a.TaskStates[t.Name]; s != nil && s.StartedAt != nil && !t.LogsDisabled {
			for _, stream := range []string{"stdout", "stderr"} {
				if _, err := d.openLog(t, stream).Write(nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// openLog returns one of the two logs of a task.
func (d *AllocDir) openLog(t jobspec.Task, stream string) *logFile {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := t.Name + "." + stream
	l := d.logs[name]
	if l == nil {
		l = &logFile{
			base: filepath.Join(d.path, logDir, name), max: cmp.Or(t.LogFileSize, 10*mib), files: cmp.Or(t.LogFiles, 10),
		}
		d.logs[name] = l
	}
	return l
}

// environment returns the environment of a task and of programs that are executed in it. Only PATH comes from this
// process. HOME is the task's own directory, so that a demo does not touch the user's files.
func (d *AllocDir) environment(a *store.Allocation, t jobspec.Task) []string {
	dir := filepath.Join(d.path, t.Name)
	index := strings.TrimSuffix(a.Name[strings.LastIndex(a.Name, "[")+1:], "]")
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir,
		"NOMAD_ALLOC_DIR=" + filepath.Join(d.path, "alloc"), "NOMAD_ALLOC_ID=" + a.ID, "NOMAD_ALLOC_INDEX=" + index,
		"NOMAD_ALLOC_NAME=" + a.Name, fmt.Sprint("NOMAD_CPU_LIMIT=", t.CPU), "NOMAD_DC=" + a.Node.Datacenter,
		"NOMAD_GROUP_NAME=" + a.TaskGroup, "NOMAD_JOB_ID=" + a.JobID, "NOMAD_JOB_NAME=" + a.JobID,
		fmt.Sprint("NOMAD_MEMORY_LIMIT=", t.Memory), "NOMAD_NAMESPACE=" + a.Namespace, "NOMAD_REGION=global",
		"NOMAD_SECRETS_DIR=" + filepath.Join(dir, "secrets"), "NOMAD_SHORT_ALLOC_ID=" + a.ID[:min(8, len(a.ID))],
		"NOMAD_TASK_DIR=" + filepath.Join(dir, "local"), "NOMAD_TASK_NAME=" + t.Name,
	}
	if a.Job.ParentID != "" {
		env = append(env, "NOMAD_JOB_PARENT_ID="+a.Job.ParentID)
	}
	for name, value := range t.Env {
		env = append(env, name+"="+value)
	}
	return env
}
