package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Find returns the config file to load: explicit (from -config) if it is not empty, else the first that exists of
// ./nomadctld.toml and /etc/nomadctld/nomadctld.toml. The error names every place tried and the way to a config. A
// file that exists but cannot be read is returned too: Load tells why.
func Find(explicit string) (string, error) {
	return find(explicit, []string{"./nomadctld.toml", "/etc/nomadctld/nomadctld.toml"})
}

func find(explicit string, places []string) (string, error) {
	missing := func(name string) bool {
		_, err := os.Stat(name)
		return errors.Is(err, fs.ErrNotExist)
	}
	if explicit != "" {
		if missing(explicit) {
			return "", fmt.Errorf("config file %s does not exist (named by -config)", quote(explicit))
		}
		return explicit, nil
	}
	for _, name := range places {
		if !missing(name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("no config file: tried %s; copy the example configuration from the README to one of them, "+
		"name yours with -config FILE, or try `nomadctld demo`, which needs none", strings.Join(places, " and "))
}
