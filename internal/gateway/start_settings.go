package gateway

import "nomadctld/config"

// startSettings are the settings that a running gateway cannot change.
var startSettings = []struct {
	name  string
	value func(*config.Config) *string
}{
	{"audit.file", func(c *config.Config) *string { return &c.Audit.File }},
	{"audit.jobs", func(c *config.Config) *string { return &c.Audit.Jobs }},
	{"general.bind", func(c *config.Config) *string { return &c.General.Bind }},
	{"general.control", func(c *config.Config) *string { return &c.General.Control }},
	{"metrics.bind", func(c *config.Config) *string { return &c.Metrics.Bind }},
}

// NeedRestart returns the names of the settings that a reload does not apply, sorted.
func NeedRestart() []string {
	var names []string
	for _, s := range startSettings {
		names = append(names, s.name)
	}
	return names
}

// keepStartSettings replaces the start settings of next by those of the running configuration, and returns the names of
// those that differ.
func keepStartSettings(next, running *config.Config) (differ []string) {
	for _, s := range startSettings {
		if now, kept := s.value(next), *s.value(running); *now != kept {
			differ = append(differ, s.name)
			*now = kept
		}
	}
	return differ
}
