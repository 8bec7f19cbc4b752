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

// Labels that Nomad sets on containers.
const (
	allocationLabel = "com.hashicorp.nomad.alloc_id"  // always set; a job cannot override it
	taskLabel       = "com.hashicorp.nomad.task_name" // only if the client agent is configured to set it
)

// Inspect returns the daemon's JSON for the container of a task, byte for byte, whether it runs or not. It returns
// ErrNoContainer if the task has none, and ErrUnreachable if the daemon does not respond.
func (d *Docker) Inspect(ctx context.Context, node Node, task, allocation string) (body json.RawMessage, err error) {
	err = d.withClient(ctx, node, func(ctx context.Context, c *apiClient) (err error) {
		body, err = c.containerJSON(ctx, task, allocation)
		return err
	})
	return body, err
}

// containerJSON returns the JSON of a task's container. Names are unique in Docker, and Nomad replaces the container of
// a restarted task by one with the same name, so at most one has it. A renamed container is found by Nomad's labels.
func (c *apiClient) containerJSON(ctx context.Context, task, allocation string) (json.RawMessage, error) {
	notFound := fmt.Errorf("task %s: %w", displayName(task), ErrNoContainer)
	if task == "" || allocation == "" {
		return nil, notFound
	}
	body, err := c.inspect(ctx, containerName(task, allocation), task, allocation)
	if body != nil || err != nil {
		return body, err
	}
	listed, err := c.client.ListContainers(dockerclient.ListContainersOptions{
		Context: ctx, All: true,
		Filters: map[string][]string{"label": {allocationLabel + "=" + allocation, taskLabel + "=" + task}},
	})
	if err != nil {
		return nil, err
	}
	newestFirst := func(a, b dockerclient.APIContainers) int { return cmp.Compare(b.Created, a.Created) }
	slices.SortStableFunc(listed, newestFirst)
	for _, listing := range listed {
		body, err := c.inspect(ctx, listing.ID, task, allocation)
		if body != nil || err != nil {
			return body, err
		}
	}
	return nil, notFound
}

// isName reports whether a container can have this name. With any other name, the path of the request may match no
// endpoint of Docker's API. The 404 is then not about a container.
func isName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// containerName returns the name that Nomad's docker driver gives the container of a task.
func containerName(task, allocation string) string {
	return strings.ReplaceAll(task, "/", "_") + "-" + allocation
}

// inspect returns the JSON of the container with a name or ID, or nil if it does not exist or belongs to another task.
func (c *apiClient) inspect(ctx context.Context, container, task, allocation string) (json.RawMessage, error) {
	body, err := c.get(ctx, "/containers/"+url.PathEscape(container)+"/json")
	var response *dockerclient.Error
	if errors.As(err, &response) && response.Status == http.StatusNotFound &&
		(!isDeclined(response) || !isName(container)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var identity containerIdentity
	if err := json.Unmarshal(body, &identity); err != nil {
		return nil, err
	}
	if !identity.belongsTo(task, allocation) {
		return nil, nil
	}
	return body, nil
}

// containerIdentity is the part of a container's JSON that identifies the task.
type containerIdentity struct {
	Name   string // starts with a slash
	Config struct{ Labels map[string]string }
}

// belongsTo reports whether the container belongs to the task. Anybody with access to Docker can choose a name, so the
// name alone proves nothing. A job may set the task label, so the label counts only if the name is not Nomad's.
func (i containerIdentity) belongsTo(task, allocation string) bool {
	if i.Config.Labels[allocationLabel] != allocation {
		return false
	}
	if strings.HasSuffix(i.Name, "-"+allocation) {
		return i.Name == "/"+containerName(task, allocation)
	}
	return i.Config.Labels[taskLabel] == task
}
