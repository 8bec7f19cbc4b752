package nomad

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// TierState is what the result of a read shows about a tier.
type TierState string

const (
	TierUp           TierState = "up"
	TierDown         TierState = "down"          // no connection, no response, or no leader
	TierTokenRefused TierState = "token refused" // the token is unknown or has expired, or the tier needs one
	TierTokenMissing TierState = "token missing" // the token file cannot be read
)

// minOutageWait is the minimum duration of a read whose timeout shows that the tier is down. Some callers, such as
// completion, time out earlier.
const minOutageWait = 5 * time.Second

// errTokenFile is returned if the token file cannot be read.
var errTokenFile = errors.New("the gateway cannot read its token file")

// errTokenInvalid is returned if Nomad does not accept the token for any request.
var errTokenInvalid = fmt.Errorf("%w: it is unknown or has expired", backends.ErrForbidden)

// reportState reports to Tier.OnState the state that the result of a read shows, after all retries. err is the read's
// error for users. cause is the error of the last request; nil: it succeeded, or none was sent.
func (c *Client) reportState(ctx context.Context, started time.Time, err, cause error) {
	if c.tier.OnState == nil {
		return
	}
	if state := c.stateOf(ctx, started, err, cause); state != "" {
		c.tier.OnState(state, started, err)
	}
}

// stateOf returns the state, or "" if the result shows none.
func (c *Client) stateOf(ctx context.Context, started time.Time, err, cause error) TierState {
	var response api.UnexpectedResponseError
	switch isResponse := errors.As(cause, &response) && response.HasStatusCode(); {
	case err == nil:
		return TierUp
	case errors.Is(err, errTokenFile):
		return TierTokenMissing
	case errors.Is(err, errTokenInvalid), isForbidden(cause) && c.tier.TokenFile == "":
		return TierTokenRefused
	case errors.Is(ctx.Err(), context.Canceled):
		return ""
	case ctx.Err() != nil && time.Since(started) < minOutageWait:
		return ""
	case errors.Is(err, backends.ErrUnreachable), isResponse && isOutage(response):
		return TierDown
	case errors.Is(err, backends.ErrNotFound), errors.Is(err, backends.ErrForbidden),
		isResponse && response.StatusCode() == http.StatusBadRequest:
		return TierUp // other responses may come from another server at this address
	}
	return ""
}

// isOutage reports whether a response means that the servers cannot serve any request. Other errors of servers may be
// about one node or one object.
func isOutage(response api.UnexpectedResponseError) bool {
	proxyErrors := []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	return slices.Contains(proxyErrors, response.StatusCode()) || containsAny(response.Body(), noLeaderErrors)
}
