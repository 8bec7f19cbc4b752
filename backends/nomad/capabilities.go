package nomad

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Capabilities for reads of jobs and for changes.
const (
	capListJobs       = "list-jobs"
	capReadJob        = "read-job"
	capScaleJob       = "scale-job"
	capDispatchJob    = "dispatch-job"
	capAllocLifecycle = "alloc-lifecycle"

	// Parts of submit-job. Nomad has them since 1.11.2.
	capRegisterJob   = "register-job"
	capDeregisterJob = "deregister-job"
	capPurgeJob      = "purge-job"
	capRevertJob     = "revert-job"
	capEvaluateJob   = "evaluate-job"
	deploymentSuffix = "-deployment" // promote-deployment, pause-deployment, fail-deployment

	ruleNodeRead = `node { policy = "read" }`
)

// CoarserCapability returns the capability that Nomad before 1.11.2 has instead of the given one. It includes others.
// "" means none.
func CoarserCapability(capability string) string {
	switch capability {
	case capRegisterJob, capDeregisterJob, capPurgeJob, capRevertJob, capEvaluateJob:
		return "submit-job"
	}
	if strings.HasSuffix(capability, deploymentSuffix) {
		return "submit-job"
	}
	return ""
}

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
		return &backends.MissingCapabilityError{
			Capability: capability, Coarser: CoarserCapability(capability), Namespace: namespace,
		}
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
