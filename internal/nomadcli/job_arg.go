package nomadcli

import "slices"

// JobArg returns the ID of the one job that a command names, for choosing the cluster that has it; not ok if it names
// none, or several, or may not be run, or where that is unclear. The ID may be a beginning of one, as Nomad takes it, and
// that of status may be something else than a job's.
func JobArg(args []string) (job string, ok bool) {
	c, err := parse(args)
	if err != nil || c.help {
		return "", false
	}
	switch c.rule.job {
	case firstWord:
		job = wordAt(c.words, 0)
	case onlyWord:
		if len(c.words) == 1 {
			job = c.words[0]
		}
	case jobFlag:
		if given := c.values["job"]; len(given) == 1 {
			job = given[0]
		}
	case ifJobFlag:
		// -job=false says that it is an allocation after all
		if given := c.values["job"]; len(given) > 0 && !slices.ContainsFunc(given, func(v string) bool { return v != "" }) {
			job = wordAt(c.words, 0)
		}
	}
	return job, job != ""
}

func wordAt(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}
