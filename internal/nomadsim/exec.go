package nomadsim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gorilla/websocket"
)

// execRequest is a request to run a program in a task.
type execRequest struct {
	command []string
	tty     bool
	a       *allocation
	task    Task
	node    *node
}

// closeError ends an exec before its program exits. It contains the code and the text of the websocket close message.
// Nomad uses 1011 for internal errors and 1008 for all others.
type closeError struct {
	code int
	text string
}

func (c closeError) Error() string { return c.text }

func policyViolation(format string, args ...any) error {
	return closeError{websocket.ClosePolicyViolation, fmt.Sprintf(format, args...)}
}

// execHandler runs a program in a task. Like Nomad's agent, it upgrades the connection first, so errors are close
// messages. Nothing here isolates the task: the program runs as the current user. Therefore a token is required, even
// if a Nomad without ACL or with an anonymous policy would not require one.
func execHandler(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
	if !c.host.acquire() {
		panic(http.ErrAbortHandler)
	}
	defer c.host.release()
	if c.servedAnonymously(r) {
		refuse(w, httpError{http.StatusForbidden, "the simulated cluster runs commands only for requests with a token"})
		return
	}
	e, err := parseExec(r)
	if !websocket.IsWebSocketUpgrade(r) {
		if err == nil {
			err = errors.New("websocket connection not found in context")
		}
		refuse(w, err)
		return
	}
	var upgrader websocket.Upgrader
	conn, upgradeErr := upgrader.Upgrade(w, r, nil)
	if upgradeErr != nil {
		return // Upgrade has sent the error
	}
	s := newExecStream(c.host.ctx, conn)
	defer s.shutdown()
	if err == nil {
		err = c.resolveExec(r, id, e)
	}
	if err == nil {
		err = s.runExec(c, e)
	}
	if err != nil {
		s.close(err)
	}
}

// servedAnonymously reports whether the request needs no token: ACL is off, or the request has no token and there is an
// anonymous policy.
func (c *Cluster) servedAnonymously(r *http.Request) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, anonymous := c.tokens[""]
	return len(c.tokens) == 0 || tokenSecret(r) == "" && anonymous
}

func parseExec(r *http.Request) (*execRequest, error) {
	q := r.URL.Query()
	e := &execRequest{task: Task{Name: q.Get("task")}}
	if err := json.Unmarshal([]byte(q.Get("command")), &e.command); err != nil {
		return nil, fmt.Errorf("failed to marshal command into json: %v", err)
	}
	if tty := q.Get("tty"); tty != "" {
		var err error
		if e.tty, err = strconv.ParseBool(tty); err != nil {
			return nil, fmt.Errorf("tty value is not a boolean: %v", err)
		}
	}
	return e, nil
}

// resolveExec checks the request and finds its allocation and task, in the order of Nomad's client.
func (c *Cluster) resolveExec(r *http.Request, id string, e *execRequest) (err error) {
	if c.hasUnknownToken(r) {
		return policyViolation(deniedRPCText)
	}
	e.a, e.node, err = c.reachableAllocation(r, id, "alloc-exec")
	switch f, _ := errors.AsType[httpError](err); {
	case err == error(errDenied):
		return errors.New(errDenied.text) // Nomad treats this as an internal error
	case f.status != 0:
		return policyViolation("%s", f.text)
	case err != nil:
		return err
	case e.task.Name == "":
		return policyViolation("must provide task name")
	case len(e.command) == 0:
		return policyViolation("command is not present")
	}
	name, found := e.task.Name, false
	if e.task, found = e.a.task(name); !found {
		return errors.New("task not found")
	}
	// raw_exec does not isolate the task or the programs in it.
	if e.task.Driver == "raw_exec" {
		if _, _, err := c.reachableAllocation(r, id, "alloc-node-exec"); err != nil {
			return errors.New(err.Error())
		}
	}
	switch s := e.a.TaskStates[name]; {
	case s.StartedAt == nil:
		return policyViolation("task %q not started yet.", name)
	case s.State != "running":
		return policyViolation("task %q is not running.", name)
	}
	return nil
}

// waitForTaskExit returns when the task is no longer running, or when ctx ends.
func (c *Cluster) waitForTaskExit(ctx context.Context, e *execRequest) {
	for ctx.Err() == nil {
		c.mu.RLock()
		a, changed := c.allocationByID[e.a.ID], c.changed
		c.mu.RUnlock()
		if a == nil || a.TaskStates[e.task.Name] == nil || a.TaskStates[e.task.Name].State != "running" {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}
