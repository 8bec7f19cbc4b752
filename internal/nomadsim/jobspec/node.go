package jobspec

import "time"

// Node is a client node of the cluster.
type Node struct {
	Name                             string
	ID                               string            // derived from the name by default
	Address, Datacenter, Class, Pool string            // default "127.0.0.1", "dc1", "", "default"
	Drivers                          []string          // default docker
	Down                             bool              // status down, and not reachable
	Unreachable                      bool              // status ready, but not reachable from the servers
	Hangs                            bool              // accepts requests and never responds
	Slow                             time.Duration     // delay of each response
	Attributes, Meta                 map[string]string // in addition to those of all nodes
}
