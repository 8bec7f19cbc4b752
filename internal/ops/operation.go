package ops

import (
	"encoding/json"
	"path/filepath"

	"nomadctld/backends"
)

// Operation is an operation with the access that its work needs: the clusters, limited to the jobs of the user who
// started it.
type Operation struct {
	*Op
	Cluster backends.Cluster
	Writer  backends.ClusterWriter
}

// SaveDefinition saves a version of the job's definition to disk. If it returns nil, the definition survives a power
// loss, and the next gateway accepts it.
func (o *Op) SaveDefinition(definition json.RawMessage, version uint64) error {
	return o.registry.persist(SavedDefinition{
		ID: o.ID, Job: o.Job, User: o.User, Command: o.Command, Time: o.Started.UTC(), Version: version,
		Definition: definition,
	})
}

// DeleteDefinition deletes the definition that SaveDefinition saved, when there is nothing left to restore.
func (o *Op) DeleteDefinition() error { return o.registry.DeleteByID(o.ID) }

// DefinitionPath returns the path of the definition that SaveDefinition saved.
func (o *Op) DefinitionPath() string { return filepath.Join(o.registry.folder, o.ID+fileSuffix) }

// SavedDefinitions returns the saved definitions of the operation's job.
func (o *Op) SavedDefinitions() SavedDefinitions {
	return o.registry.SavedDefinitions(o.Job, o.User, o.Command)
}
