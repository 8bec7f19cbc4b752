package nomadsim

import (
	"net/http"
	"time"
)

// checksHandler returns the last results of an allocation's checks, by check ID. Like Nomad, it returns null if there
// are none or if the allocation is terminal.
func checksHandler(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
	a, n, err := c.reachableAllocation(r, id, "read-job")
	if err != nil {
		refuse(w, err)
		return
	}
	if n.spec.Hangs {
		c.hang(r)
	}
	c.delay(r, n.spec.Slow)
	respond(w, r, checkResults(a, time.Now()))
}
