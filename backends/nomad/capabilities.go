package nomad

import (
	"context"
	"errors"
	"net/http"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Capabilities for reads of jobs and for changes. Where newer versions of Nomad have finer ones, these are the ones
// that all versions accept.
const (
	capListJobs       = "list-jobs"
	capReadJob        = "read-job"
	capSubmitJob      = "submit-job"
	capScaleJob       = "scale-job"
	capDispatchJob    = "dispatch-job"
	capAllocLifecycle = "alloc-lifecycle"

	ruleNodeRead = `node { policy = "read" }`
)

// forbiddenError explains Nomad's 403. Nomad returns it for unknown tokens and for missing capabilities, so
// forbiddenError reads the token to find out. capability is what the request needs, or a rule; empty: not known.
func (c *Client) forbiddenError(ctx context.Context, namespace, capability string, err error) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	q, tokenErr := c.queryOptions(ctx, "")
	if tokenErr != nil || q.AuthToken == "" {
		return explain(err)
	}
	_, _, selfErr := c.reads.ACLTokens().Self(q)
	var response api.UnexpectedResponseError
	switch {
	case selfErr == nil && capability != "":
		return &backends.MissingCapabilityError{Capability: capability, Namespace: namespace}
	case errors.As(selfErr, &response) &&
		(response.StatusCode() == http.StatusForbidden || containsAny(response.Body(), badTokenErrors)):
		return errTokenInvalid
	}
	return explain(err)
}

// badTokenErrors are parts of Nomad's messages about unknown or expired tokens.
var badTokenErrors = []string{"token not found", "token expired", "token is invalid", "signed token"}

// isForbidden reports whether err is a 403 of Nomad.
func isForbidden(err error) bool {
	var response api.UnexpectedResponseError
	return errors.As(err, &response) && response.HasStatusCode() && response.StatusCode() == http.StatusForbidden
}
