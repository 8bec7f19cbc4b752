package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	dockerclient "github.com/fsouza/go-dockerclient"
)

// Labels that Nomad gives to containers.
const (
	allocationLabel = "com.hashicorp.nomad.alloc_id"  // always; a job cannot set another value
	taskLabel       = "com.hashicorp.nomad.task_name" // where the client is configured so
)

// Inspect returns what the daemon says of the container of a task, running or not: its JSON as it came, byte for byte.
// ErrNoContainer: there is none. ErrUnreachable: the daemon gave no answer.
func (d *Docker) Inspect(ctx context.Context, node Node, task, allocation string) (found json.RawMessage, err error) {
	err = d.withClient(ctx, node, func(ctx context.Context, s *apiClient) (err error) {
		found, err = s.containerJSON(ctx, task, allocation)
		return err
	})
	return found, err
}

// containerJSON returns the JSON of a task's container. Docker's names are unique and Nomad replaces a task's container by
// one of the same name when it restarts, so there is one at most by that name. If somebody has renamed it, Nomad's
// labels tell.
func (s *apiClient) containerJSON(ctx context.Context, task, allocation string) (json.RawMessage, error) {
	none := fmt.Errorf("%w of task %s (any more)", ErrNoContainer, displayName(task))
	if task == "" || allocation == "" {
		return nil, none
	}
	found, err := s.inspect(ctx, containerName(task, allocation), task, allocation)
	if found != nil || err != nil {
		return found, err
	}
	listed, err := s.client.ListContainers(dockerclient.ListContainersOptions{
		Context: ctx, All: true,
		Filters: map[string][]string{"label": {allocationLabel + "=" + allocation, taskLabel + "=" + task}},
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(listed, func(a, b dockerclient.APIContainers) int { return cmp.Compare(b.Created, a.Created) })
	for _, c := range listed {
		found, err := s.inspect(ctx, c.ID, task, allocation)
		if found != nil || err != nil {
			return found, err
		}
	}
	return nil, none
}

// isName reports whether a container can have this name. For others Docker may not find the endpoint either.
func isName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// containerName is the name that Nomad's docker driver gives to the container of a task.
func containerName(task, allocation string) string {
	return strings.ReplaceAll(task, "/", "_") + "-" + allocation
}

// inspect returns the JSON of the container with that name or ID; nil if there is none or it is not the task's.
func (s *apiClient) inspect(ctx context.Context, container, task, allocation string) (json.RawMessage, error) {
	body, err := s.get(ctx, "/containers/"+url.PathEscape(container)+"/json")
	var answer *dockerclient.Error
	if errors.As(err, &answer) && answer.Status == http.StatusNotFound && (!isDeclined(answer) || !isName(container)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var is containerIdentity
	if err := json.Unmarshal(body, &is); err != nil {
		return nil, err
	}
	if !is.belongsTo(task, allocation) {
		return nil, nil
	}
	return body, nil
}

// containerIdentity is what in a container's JSON says whose it is.
type containerIdentity struct {
	Name   string // begins with a slash
	Config struct{ Labels map[string]string }
}

// belongsTo reports whether it is the task's. Names are free for anybody who may speak to Docker, so a name alone proves
// nothing. The task's label is believed only without a name from Nomad, which would be that of another task: a job
// may have set it.
func (i containerIdentity) belongsTo(task, allocation string) bool {
	if i.Config.Labels[allocationLabel] != allocation {
		return false
	}
	if strings.HasSuffix(i.Name, "-"+allocation) {
		return i.Name == "/"+containerName(task, allocation)
	}
	return i.Config.Labels[taskLabel] == task
}
