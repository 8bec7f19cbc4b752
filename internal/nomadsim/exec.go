package nomadsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gorilla/websocket"

	"nomadctld/internal/nomadsim/jobspec"
)

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
	if !c.store.acquire() {
		panic(http.ErrAbortHandler)
	}
	defer c.store.release()
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
	s := newExecStream(c.store.context(), conn)
	defer s.shutdown()
	if err == nil {
		err = c.resolveExec(r, id, e)
	}
	if err == nil {
		err = c.agents.exec(s.ctx, s, e)
	}
	if err != nil {
		s.close(err)
	}
}

func parseExec(r *http.Request) (*execRequest, error) {
	q := r.URL.Query()
	e := &execRequest{task: jobspec.Task{Name: q.Get("task")}}
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
	if _, err := c.acl.authenticate(r); err != nil {
		return policyViolation(deniedRPCText)
	}
	e.allocation, e.node, err = c.reachableAllocation(r, id, "alloc-exec")
	switch f, _ := errors.AsType[jobspec.CodedError](err); {
	case err == jobspec.ErrDenied:
		return errors.New(jobspec.ErrDenied.Error()) // Nomad treats this as an internal error
	case f.Code != 0:
		return policyViolation("%s", f.Text)
	case err != nil:
		return err
	case e.task.Name == "":
		return policyViolation("must provide task name")
	case len(e.command) == 0:
		return policyViolation("command is not present")
	}
	name, found := e.task.Name, false
	if e.task, found = e.allocation.task(name); !found {
		return errors.New("task not found")
	}
	// raw_exec does not isolate the task or the programs in it.
	if e.task.Driver == "raw_exec" {
		if _, _, err := c.reachableAllocation(r, id, "alloc-node-exec"); err != nil {
			return errors.New(err.Error())
		}
	}
	switch s := e.allocation.TaskStates[name]; {
	case s.StartedAt == nil:
		return policyViolation("task %q not started yet.", name)
	case s.State != "running":
		return policyViolation("task %q is not running.", name)
	}
	return nil
}
