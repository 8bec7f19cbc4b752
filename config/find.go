package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Find returns the config file to load: explicit (from -config) if it is not empty, else the first existing file of
// ./nomadctld.toml and /etc/nomadctld/nomadctld.toml. If there is none, the error lists the paths and the next steps.
// Find also returns a file that exists but cannot be read, so that Load reports the reason.
func Find(explicit string) (string, error) {
	return find(explicit, []string{"./nomadctld.toml", "/etc/nomadctld/nomadctld.toml"})
}

func find(explicit string, candidates []string) (string, error) {
	missing := func(name string) bool {
		_, err := os.Stat(name)
		return errors.Is(err, fs.ErrNotExist)
	}
	if explicit != "" {
		if missing(explicit) {
			return "", fmt.Errorf("config file %s (from -config) does not exist; create it, or correct the path",
				quote(explicit))
		}
		return explicit, nil
	}
	for _, name := range candidates {
		if !missing(name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("no config file (tried %s): copy the example from the README to one of these paths, "+
		"use -config FILE, or run `nomadctld demo`, which needs none", strings.Join(candidates, " and "))
}
