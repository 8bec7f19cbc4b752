package docker

import (
	"context"
	"strings"

	dockerclient "github.com/fsouza/go-dockerclient"
)

// newestAPI is the newest version of the API whose changes have been read for what is asked here: that of Docker 29.
var newestAPI = dockerclient.APIVersion{1, 52}

// negotiate asks the daemon what it speaks, which go-dockerclient does not. A daemon that does not speak pinned, if there
// is one, gets the newest common version, and the log says so.
func (d *daemon) negotiate(ctx context.Context, pinned dockerclient.APIVersion) (*apiClient, error) {
	plain, err := d.newClient("")
	if err != nil {
		return nil, err
	}
	answer, err := plain.client.VersionWithContext(ctx)
	if err != nil {
		return nil, err
	}
	latest, err := dockerclient.NewAPIVersion(answer.Get("ApiVersion"))
	if err != nil {
		return nil, errBadResponse
	}
	var oldest dockerclient.APIVersion // older than any: daemons before 1.25 do not say
	if text := answer.Get("MinAPIVersion"); text != "" {
		if oldest, err = dockerclient.NewAPIVersion(text); err != nil {
			return nil, errBadResponse
		}
	}
	version, err := chooseAPI(oldest, latest, pinned)
	if err != nil {
		return nil, err
	}
	s, err := d.newClient(version.String())
	if err != nil {
		return nil, err
	}
	s.podman = strings.Contains(answer.Get("Components"), `"Podman Engine"`)
	if before := d.negotiated.Load(); pinned != nil && version.String() != pinned.String() && (before == nil || before.version != s.version) {
		d.log.Warn("the Docker daemon does not speak the API version that the setting dockerapi asks for; remove the setting to negotiate one with every daemon",
			"daemon", d.endpoint.Redacted(), "dockerapi", pinned.String(), "oldest", oldest.String(), "newest", latest.String(), "speaking", version.String())
	}
	return s, nil
}

// chooseAPI returns pinned if the daemon speaks it, and else the newest version that both sides speak.
func chooseAPI(oldest, latest, pinned dockerclient.APIVersion) (dockerclient.APIVersion, error) {
	if pinned != nil && pinned.GreaterThanOrEqualTo(oldest) && latest.GreaterThanOrEqualTo(pinned) {
		return pinned, nil
	}
	version := newestAPI
	if latest.LessThan(version) {
		version = latest
	}
	if version.LessThan(oldest) {
		return nil, daemonErrorf("speaks API %s and newer, the gateway only up to %s", oldest, newestAPI)
	}
	return version, nil
}
