package nomadcli

import "slices"

// JobArg returns the ID of the job that a command names, so that the caller can choose the cluster with that job. ok
// is false if the command names no job or several, is refused, or is ambiguous. The ID may be a prefix, as Nomad
// accepts it. The argument of status may be the ID of something else.
func JobArg(args []string) (job string, ok bool) {
	c, err := parse(args)
	if err != nil || c.help {
		return "", false
	}
	switch c.rule.job {
	case jobFirstWord:
		job = wordAt(c.args, 0)
	case jobOnlyWord:
		if len(c.args) == 1 {
			job = c.args[0]
		}
	case jobInFlag:
		if given := c.values["job"]; len(given) == 1 {
			job = given[0]
		}
	case jobFirstWordIfFlag:
		// With -job=false the argument is an allocation.
		if given := c.values["job"]; len(given) > 0 && !slices.ContainsFunc(given, func(v string) bool { return v != "" }) {
			job = wordAt(c.args, 0)
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
