package agent

import (
	"bytes"
	"fmt"
	"os"
	"sync"

	"nomadctld/internal/nomadsim/store"
)

// logFile is one stream of a task's output in numbered files. Only the newest files are retained. No file stays open
// between writes, so that the logs of many tasks do not use file descriptors.
type logFile struct {
	mu    sync.Mutex // guards index, size and the files
	base  string     // path without the number
	index int
	size  int64 // of the current file
	max   int64 // bytes in a file
	files int   // number of files to retain
}

// Write appends to the log. As in Nomad, a line is not split across files unless it is longer than a file.
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

// fit returns how many bytes of p belong in the current file.
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

// Log appends text to the "stdout" or "stderr" log of a task, regardless of the task's state. It panics if the task
// does not exist.
func (ag *Agents) Log(a *store.Allocation, task, stream string, text []byte) {
	t, found := a.Task(task)
	if !found || (stream != "stdout" && stream != "stderr") {
		panic(fmt.Sprintf("nomadsim: allocation %s has no log %s of a task %q", a.ID, stream, task))
	}
	d, err := ag.Dir(a)
	if err == nil {
		_, err = d.openLog(t, stream).Write(text)
	}
	if err != nil && err != errClosed {
		panic("nomadsim: log: " + err.Error())
	}
}
