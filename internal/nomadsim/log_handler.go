package nomadsim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// logQuery is a request for a log.
type logQuery struct {
	task, stream  string
	follow, plain bool
	offset        int64 // from the start of the first file or, with fromEnd, the last; negative: from its end
	fromEnd       bool
}

// logHandler returns the log of a task, across all of its files.
func logHandler(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
	if !c.host.acquire() {
		panic(http.ErrAbortHandler)
	}
	defer c.host.release()
	q, err := parseLogs(r.URL.Query())
	if err == nil && c.hasUnknownToken(r) {
		err = errors.New(deniedRPCText)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	a, n, err := c.reachableAllocation(r, id, "read-fs", "read-logs")
	if err != nil {
		refuse(w, err)
		return
	}
	if n.spec.Hangs {
		c.hang(r)
	}
	c.delay(r, n.spec.Slow)
	switch s := a.TaskStates[q.task]; {
	case s == nil:
		err = httpError{http.StatusBadRequest, fmt.Sprintf("unknown task name %q", q.task)}
	case s.StartedAt == nil:
		err = httpError{http.StatusNotFound, fmt.Sprintf("task %q not started yet. No logs available", q.task)}
	}
	var d *allocDir
	if err == nil {
		d, err = c.host.dir(a)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if q.plain {
		w.Header().Set("Content-Type", "text/plain")
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(c.host.ctx, cancel)()
	if err := newLogReader(ctx, d, q, w).read(); err != nil && ctx.Err() == nil {
		refuse(w, err)
	}
	if c.host.ctx.Err() != nil {
		panic(http.ErrAbortHandler)
	}
}

func parseLogs(v url.Values) (*logQuery, error) {
	q := &logQuery{task: v.Get("task"), stream: v.Get("type")}
	bad := func(format string, args ...any) error {
		return httpError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
	}
	if q.task == "" {
		return nil, bad("must provide task name")
	}
	for _, flag := range []struct {
		name  string
		value *bool
	}{{"follow", &q.follow}, {"plain", &q.plain}} {
		if s := v.Get(flag.name); s != "" {
			var err error
			if *flag.value, err = strconv.ParseBool(s); err != nil {
				return nil, bad("failed to parse %s field to boolean: %v", flag.name, err)
			}
		}
	}
	if q.stream != "stdout" && q.stream != "stderr" {
		return nil, bad("must provide log type (stdout/stderr)")
	}
	if s := v.Get("offset"); s != "" {
		var err error
		if q.offset, err = strconv.ParseInt(s, 10, 64); err != nil {
			return nil, bad("error parsing offset: %v", err)
		}
	}
	switch v.Get("origin") {
	case "", "start":
	case "end":
		q.fromEnd, q.offset = true, -q.offset
	default:
		return nil, bad("origin must be start or end")
	}
	return q, nil
}
