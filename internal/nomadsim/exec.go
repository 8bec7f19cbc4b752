package nomadsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gorilla/websocket"

	"nomadctld/internal/nomadsim/agent"
	"nomadctld/internal/nomadsim/jobspec"
)

// closeError closes the connection of an exec early. It contains the code and the text of the websocket close message.
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
	if !c.store.Acquire() {
		panic(http.ErrAbortHandler)
	}
	defer c.store.Release()
	if c.acl.servedAnonymously(r) {
		refuse(w, jobspec.CodedError{
			Code: http.StatusForbidden, Text: "the simulated cluster runs commands only for requests with a token",
		})
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
	s := newExecStream(c.store.Context(), conn)
	defer s.shutdown()
	if err == nil {
		err = c.resolveExec(r, id, e)
	}
	if err == nil {
		err = c.agents.Exec(s.ctx, s, e)
	}
	if err != nil {
		s.close(err)
	}
}

func parseExec(r *http.Request) (*agent.ExecRequest, error) {
	q := r.URL.Query()
	e := &agent.ExecRequest{Task: jobspec.Task{Name: q.Get("task")}}
	if err := json.Unmarshal([]byte(q.Get("command")), &e.Command); err != nil {
		return nil, fmt.Errorf("failed to marshal command into json: %v", err)
	}
	if tty := q.Get("tty"); tty != "" {
		var err error
		if e.TTY, err = strconv.ParseBool(tty); err != nil {
			return nil, fmt.Errorf("tty value is not a boolean: %v", err)
		}
	}
	return e, nil
}

// resolveExec checks the request and finds its allocation and task, in the order of Nomad's client.
func (c *Cluster) resolveExec(r *http.Request, id string, e *agent.ExecRequest) (err error) {
	if _, err := c.acl.authenticate(r); err != nil {
		return policyViolation(deniedRPCText)
	}
	e.Allocation, e.Node, err = c.reachableAllocation(r, id, "alloc-exec")
	switch f, _ := errors.AsType[jobspec.CodedError](err); {
	case err == jobspec.ErrDenied:
		return errors.New(jobspec.ErrDenied.Error()) // Nomad treats this as an internal error
	case f.Code != 0:
		return policyViolation("%s", f.Text)
	case err != nil:
		return err
	case e.Task.Name == "":
		return policyViolation("must provide task name")
	case len(e.Command) == 0:
		return policyViolation("command is not present")
	}
	name, found := e.Task.Name, false
	if e.Task, found = e.Allocation.Task(name); !found {
		return errors.New("task not found")
	}
	// raw_exec does not isolate the task or the programs in it.
	if e.Task.Driver == "raw_exec" {
		if _, _, err := c.reachableAllocation(r, id, "alloc-node-exec"); err != nil {
			return errors.New(err.Error())
		}
	}
	switch s := e.Allocation.TaskStates[name]; {
	case s.StartedAt == nil:
		return policyViolation("task %q not started yet.", name)
	case s.State != "running":
		return policyViolation("task %q is not running.", name)
	}
	return nil
}
