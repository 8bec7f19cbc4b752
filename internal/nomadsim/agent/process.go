package agent

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// command prepares a program with the directory and the environment of a task. When ctx ends, all processes of its
// session are killed.
func (d *AllocDir) command(ctx context.Context, a *store.Allocation, t jobspec.Task, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = filepath.Join(d.path, t.Name), d.environment(a, t)
	setSession(cmd, false)
	cmd.Cancel = func() error { killSession(cmd.Process.Pid); return nil }
	return cmd
}

// process is the running program of a task.
type process struct {
	cmd    *exec.Cmd
	output []*os.File
	copied sync.WaitGroup
}

// startTask starts the program of a task and copies its output to the task's logs.
func (d *AllocDir) startTask(ctx context.Context, a *store.Allocation, t jobspec.Task) (*process, error) {
	p := &process{cmd: d.command(ctx, a, t, t.Command)}
	var inherited []*os.File
	defer func() {
		for _, f := range inherited {
			f.Close()
		}
	}()
	for _, stream := range []string{"stdout", "stderr"} {
		r, w, err := os.Pipe()
		if err != nil {
			p.release()
			return nil, err
		}
		p.output, inherited = append(p.output, r), append(inherited, w)
		log := io.Discard
		if !t.LogsDisabled {
			log = d.openLog(t, stream)
			log.Write(nil)
		}
		p.copied.Go(func() { io.Copy(log, r) })
	}
	p.cmd.Stdout, p.cmd.Stderr = inherited[0], inherited[1]
	if err := p.cmd.Start(); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// wait waits until the program has exited and all of its output is in the logs. Processes that it left behind are
// killed.
func (p *process) wait() (code, signal int) {
	p.cmd.Wait()
	killSession(p.cmd.Process.Pid)
	p.release()
	return exitCode(p.cmd.ProcessState)
}

// release stops the copying. A process in a session of its own may still have the pipe open.
func (p *process) release() {
	for _, r := range p.output {
		r.SetReadDeadline(time.Now().Add(time.Second))
	}
	if p.cmd.Process == nil {
		for _, r := range p.output {
			r.Close()
		}
	}
	p.copied.Wait()
	for _, r := range p.output {
		r.Close()
	}
}
