package docker

import (
	"context"
	"strings"

	dockerclient "github.com/fsouza/go-dockerclient"
)

// newestAPI is the newest API version that this package was written for: that of Docker 29.
var newestAPI = dockerclient.APIVersion{1, 52}

// negotiate asks the daemon for its API versions, because go-dockerclient does not, and returns a client that uses
// pinned. If the daemon does not support pinned, the client uses the newest common version, and a warning is logged.
func (d *daemon) negotiate(ctx context.Context, pinned dockerclient.APIVersion) (*apiClient, error) {
	plain, err := d.newClient("")
	if err != nil {
		return nil, err
	}
	response, err := plain.client.VersionWithContext(ctx)
	if err != nil {
		return nil, err
	}
	latest, err := dockerclient.NewAPIVersion(response.Get("ApiVersion"))
	if err != nil {
		return nil, errBadResponse
	}
	var oldest dockerclient.APIVersion // nil is older than any version: daemons before 1.25 report no minimum
	if text := response.Get("MinAPIVersion"); text != "" {
		if oldest, err = dockerclient.NewAPIVersion(text); err != nil {
			return nil, errBadResponse
		}
	}
	version, err := chooseAPI(oldest, latest, pinned)
	if err != nil {
		return nil, err
	}
	api, err := d.newClient(version.String())
	if err != nil {
		return nil, err
	}
	api.podman = strings.Contains(response.Get("Components"), `"Podman Engine"`)
	before := d.negotiated.Load()
	if pinned != nil && version.String() != pinned.String() && (before == nil || before.version != api.version) {
		d.log.Warn("the Docker daemon does not support the version in the setting dockerapi, so another one is used; "+
			"remove the setting to negotiate a version with each daemon",
			"daemon", d.endpoint.Redacted(), "dockerapi", pinned.String(),
			"oldest", oldest.String(), "newest", latest.String(), "using", version.String())
	}
	return api, nil
}

// chooseAPI returns pinned if the daemon supports it, and otherwise the newest version that both sides support.
func chooseAPI(oldest, latest, pinned dockerclient.APIVersion) (dockerclient.APIVersion, error) {
	if pinned != nil && pinned.GreaterThanOrEqualTo(oldest) && latest.GreaterThanOrEqualTo(pinned) {
		return pinned, nil
	}
	version := newestAPI
	if latest.LessThan(version) {
		version = latest
	}
	if version.LessThan(oldest) {
		return nil, daemonErrorf("requires API %s or newer, the gateway supports only up to %s", oldest, newestAPI)
	}
	return version, nil
}

// APIVersion contacts the daemon of a node and returns the version of the API that the gateway uses with it, such as
// 1.41.
func (d *Docker) APIVersion(ctx context.Context, node Node) (version string, err error) {
	err = d.withClient(ctx, node, func(ctx context.Context, c *apiClient) error {
		version = c.version
		_, err := c.get(ctx, "/version")
		return err
	})
	return version, err
}
