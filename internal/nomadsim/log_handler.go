package nomadsim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"nomadctld/internal/nomadsim/agent"
	"nomadctld/internal/nomadsim/jobspec"
)

// logHandler returns the log of a task, across all of its files.
func logHandler(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
	if !c.store.Acquire() {
		panic(http.ErrAbortHandler)
	}
	defer c.store.Release()
	q, err := parseLogs(r.URL.Query())
	if err == nil {
		if _, denied := c.acl.authenticate(r); denied != nil {
			err = errors.New(deniedRPCText)
		}
	}
	if err != nil {
		refuse(w, err)
		return
	}
	a, err := c.askClient(r, id, "read-fs", "read-logs")
	if err != nil {
		refuse(w, err)
		return
	}
	switch s := a.TaskStates[q.Task]; {
	case s == nil:
		err = jobspec.BadRequest(fmt.Sprintf("unknown task name %q", q.Task))
	case s.StartedAt == nil:
		err = jobspec.NotFound(fmt.Sprintf("task %q not started yet. No logs available", q.Task))
	}
	var d *agent.AllocDir
	if err == nil {
		d, err = c.agents.Dir(a)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if q.Plain {
		w.Header().Set("Content-Type", "text/plain")
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(c.store.Context(), cancel)()
	if err := agent.NewLogReader(ctx, d, q, w,
		http.NewResponseController(w).Flush).Read(); err != nil && ctx.Err() == nil {
		refuse(w, err)
	}
	if c.store.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
}

func parseLogs(v url.Values) (*agent.LogQuery, error) {
	q := &agent.LogQuery{Task: v.Get("task"), Stream: v.Get("type")}
	bad := func(format string, args ...any) error {
		return jobspec.BadRequest(fmt.Sprintf(format, args...))
	}
	if q.Task == "" {
		return nil, bad("must provide task name")
	}
	for _, flag := range []struct {
		name  string
		value *bool
	}{{"follow", &q.Follow}, {"plain", &q.Plain}} {
		if s := v.Get(flag.name); s != "" {
			var err error
			if *flag.value, err = strconv.ParseBool(s); err != nil {
				return nil, bad("failed to parse %s field to boolean: %v", flag.name, err)
			}
		}
	}
	if q.Stream != "stdout" && q.Stream != "stderr" {
		return nil, bad("must provide log type (stdout/stderr)")
	}
	if s := v.Get("offset"); s != "" {
		var err error
		if q.Offset, err = strconv.ParseInt(s, 10, 64); err != nil {
			return nil, bad("error parsing offset: %v", err)
		}
	}
	switch v.Get("origin") {
	case "", "start":
	case "end":
		q.FromEnd, q.Offset = true, -q.Offset
	default:
		return nil, bad("origin must be start or end")
	}
	return q, nil
}
