package gateway

import (
	"slices"
	"strings"
	"testing"

	"nomadctld/config"
)

// TestRuntimes_ExecModes checks that each value of docker.exec selects an entry of the table.
func TestRuntimes_ExecModes(t *testing.T) {
	for _, mode := range config.ExecModes {
		c := &config.Config{Docker: config.Docker{Exec: mode, Refuse: []string{"raw_exec"}}}
		s, err := newRuntimes(c, nil, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", mode, err)
			continue
		}
		if want := strings.TrimPrefix(mode, config.ExecAuto); s.Only != want {
			t.Errorf("%s: the only runtime is %q, want %q", mode, s.Only, want)
		}
		if !slices.Equal(s.RefusedDrivers, c.Docker.Refuse) {
			t.Errorf("%s: refuses %q", mode, s.RefusedDrivers)
		}
	}
	if _, err := newRuntimes(&config.Config{Docker: config.Docker{Exec: "nosuch"}}, nil, nil, nil); err == nil {
		t.Error("a runtime that is not in the table was accepted")
	}
}

// TestRuntimes_Table checks that a runtime serves every driver, and is the last one: the fallback of the others.
func TestRuntimes_Table(t *testing.T) {
	s, err := newRuntimes(&config.Config{Docker: config.Docker{Exec: config.ExecAuto}}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, e := range s.Table {
		if isLast := i == len(s.Table)-1; (e.Drivers == nil) != isLast || e.Title == "" || slices.Contains(names, e.Name) {
			t.Errorf("entry %d: got %+v", i, e)
		}
		names = append(names, e.Name)
	}
}
