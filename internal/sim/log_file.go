package sim

import (
	"bytes"
	"fmt"
	"os"
	"sync"
)

// logFile is one stream of a task's output in files that are numbered on and on, of which the last few are kept. It
// has no open file, so that the logs of many tasks cost no descriptors.
type logFile struct {
	mu    sync.Mutex
	base  string // the path up to the number
	index int
	size  int64 // of the file with that number
	max   int64 // of each file
	files int   // that are kept
}

// Write appends to the log. As with Nomad, a line stays in one file unless it is longer than one.
func (l *logFile) Write(p []byte) (written int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		n := l.fit(p[written:])
		if err := l.append(p[written : written+n]); err != nil {
			return written, err
		}
		if written += n; written == len(p) {
			return written, nil
		}
		l.index++
		l.size = 0
		if old := l.index - l.files; old >= 0 {
			os.Remove(fmt.Sprintf("%s.%d", l.base, old))
		}
	}
}

// fit returns how much of p belongs into the current file.
func (l *logFile) fit(p []byte) int {
	space := int(l.max - l.size)
	if len(p) <= space {
		return len(p)
	}
	if end := bytes.LastIndexByte(p[:max(space, 0)], '\n'); end >= 0 {
		return end + 1
	}
	if l.size > 0 {
		return 0
	}
	return space
}

func (l *logFile) append(p []byte) error {
	f, err := os.OpenFile(fmt.Sprintf("%s.%d", l.base, l.index), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	n, err := f.Write(p)
	l.size += int64(n)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// Log appends text to the log of a task, stream "stdout" or "stderr", whatever the state of the task. It panics when
// there is no such allocation or task, and does nothing once the cluster is closed.
func (c *Cluster) Log(allocation, task, stream string, text []byte) {
	c.mu.RLock()
	a := c.allocationByID[allocation]
	c.mu.RUnlock()
	if a == nil {
		panic("sim: no allocation " + allocation)
	}
	t, found := a.task(task)
	if !found || (stream != "stdout" && stream != "stderr") {
		panic(fmt.Sprintf("sim: allocation %s has no log %s of a task %q", allocation, stream, task))
	}
	d, err := c.host.dir(a)
	if err == nil {
		_, err = d.openLog(t, stream).Write(text)
	}
	if err != nil && err != errClosed {
		panic("sim: log: " + err.Error())
	}
}
