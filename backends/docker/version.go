package docker

import (
	"context"

	dockerclient "github.com/fsouza/go-dockerclient"
)

// newest is the newest version of the API whose changes have been read for what is asked here: that of Docker 29.
var newest = dockerclient.APIVersion{1, 52}

// negotiate asks the daemon what it speaks, which go-dockerclient does not. pinned, if any, is spoken or nothing.
func (d *daemon) negotiate(ctx context.Context, pinned dockerclient.APIVersion) (*speaker, error) {
	plain, err := d.speak("")
	if err != nil {
		return nil, err
	}
	answer, err := plain.client.VersionWithContext(ctx)
	if err != nil {
		return nil, err
	}
	latest, err := dockerclient.NewAPIVersion(answer.Get("ApiVersion"))
	if err != nil {
		return nil, errUnreadable
	}
	var oldest dockerclient.APIVersion // older than any: daemons before 1.25 do not say
	if text := answer.Get("MinAPIVersion"); text != "" {
		if oldest, err = dockerclient.NewAPIVersion(text); err != nil {
			return nil, errUnreadable
		}
	}
	version, err := choose(oldest, latest, pinned)
	if err != nil {
		return nil, err
	}
	return d.speak(version.String())
}

// choose returns pinned, or without one the newest version that both sides speak.
func choose(oldest, latest, pinned dockerclient.APIVersion) (dockerclient.APIVersion, error) {
	if pinned == nil {
		version := newest
		if latest.LessThan(version) {
			version = latest
		}
		if version.LessThan(oldest) {
			return nil, faultf("speaks API %s and newer, the gateway only up to %s", oldest, newest)
		}
		return version, nil
	}
	switch {
	case pinned.LessThan(oldest):
		return nil, faultf("speaks API %s and newer, not %s, which the setting dockerapi asks for", oldest, pinned)
	case latest.LessThan(pinned):
		return nil, faultf("speaks API %s and older, not %s, which the setting dockerapi asks for", latest, pinned)
	}
	return pinned, nil
}
