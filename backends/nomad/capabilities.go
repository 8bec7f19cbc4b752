package nomad

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// The capabilities that the gateway makes use of; where Nomad has finer ones too, the one that has always been enough.
const (
	capListJobs       = "list-jobs"
	capReadJob        = "read-job"
	capSubmitJob      = "submit-job"
	capScaleJob       = "scale-job"
	capDispatchJob    = "dispatch-job"
	capAllocLifecycle = "alloc-lifecycle"

	ruleNodeRead = `node { policy = "read" }`
)

// forbiddenError says why Nomad has answered 403. It says the same of a token that is not known and of one that is too weak,
// so it is asked about the token. right is the capability that it needs, or a rule; empty: it cannot be named.
func (c *Client) forbiddenError(ctx context.Context, namespace, right string, err error) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	q, failed := c.query(ctx, "")
	if failed != nil || q.AuthToken == "" {
		return explain(err)
	}
	_, _, refused := c.api.ACLTokens().Self(q)
	var answer api.UnexpectedResponseError
	switch {
	case refused == nil && right != "":
		return &backends.MissingCapabilityError{Capability: right, Namespace: namespace}
	case errors.As(refused, &answer) && (answer.StatusCode() == http.StatusForbidden || containsAny(answer.Body(), badTokenErrors)):
		return fmt.Errorf("%w by Nomad: it is not known there, or has expired", backends.ErrForbidden)
	}
	return explain(err)
}

var badTokenErrors = []string{"token not found", "token expired", "token is invalid", "signed token"}

// isForbidden reports whether Nomad has answered 403.
func isForbidden(err error) bool {
	var answer api.UnexpectedResponseError
	return errors.As(err, &answer) && answer.HasStatusCode() && answer.StatusCode() == http.StatusForbidden
}
