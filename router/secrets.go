package router

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/internal/mask"
)

// SecretsRight is the right to see the values in definitions and containers that look like secrets.
const SecretsRight = "secrets"

// secretsNotice is printed after a command whose output has hidden values.
const secretsNotice = "values that look like secrets are shown as " + mask.Hidden +
	" (needs the " + SecretsRight + " right)"

// secretFilter hides secrets in what a command reads. The zero value hides the secrets of every job.
//
// A command that changes jobs reads the originals, because it may register or save them. No such command prints a
// definition: a test of internal/e2e runs all of them but raw on a job with a secret.
type secretFilter struct {
	owned     acl.Scope    // jobs on which the user has SecretsRight
	originals bool         // hide nothing
	hidden    *atomic.Bool // set when a value is hidden; may be nil
}

// secretsFor returns the filter for the command of a request.
func secretsFor(req *Request) secretFilter {
	set := req.Command.Spec().RightSet
	return secretFilter{
		owned: req.User.scope(SecretsRight), originals: set == Operate || set == Admin, hidden: new(atomic.Bool),
	}
}

// report prints a notice if a value is hidden.
func (f secretFilter) report(c *console.Console) {
	if f.hidden.Load() {
		c.Statusf(secretsNotice)
	}
}

// shows reports whether nothing of a job is hidden.
func (f secretFilter) shows(job backends.JobRef) bool { return f.originals || f.owned.Owns(job) }

func (f secretFilter) setHidden(hidden bool) {
	if hidden && f.hidden != nil {
		f.hidden.Store(true)
	}
}

// json returns a definition or the description of a container. An error hides all of it.
func (f secretFilter) json(job backends.JobRef, text json.RawMessage) (json.RawMessage, error) {
	if f.shows(job) || text == nil {
		return text, nil
	}
	masked, hidden, err := mask.JSON(text)
	f.setHidden(hidden)
	return masked, err
}

// versions returns versions of a job, which it does not change.
func (f secretFilter) versions(job backends.JobRef, versions []backends.Version) ([]backends.Version, error) {
	if f.shows(job) {
		return versions, nil
	}
	originals := versions
	versions = slices.Clone(versions) // other users share them
	for i, v := range versions {
		if v.Definition != nil {
			var err error
			// Values that are hidden only in the definition cause no notice, because commands print only the changes.
			if versions[i].Definition, _, err = mask.JSON(v.Definition); err != nil {
				return nil, err
			}
		}
		versions[i].Changes = slices.Clone(v.Changes)
		var before, after mask.Configs
		if len(v.Changes) > 0 {
			after = mask.ReadConfigs(v.Definition)
			if i+1 < len(originals) { // newest first
				before = mask.ReadConfigs(originals[i+1].Definition)
			}
		}
		for n, c := range v.Changes {
			masked := backends.Change{Path: c.Path, Old: before.Change(c.Path, c.Old), New: after.Change(c.Path, c.New)}
			f.setHidden(masked != c)
			versions[i].Changes[n] = masked
		}
	}
	return versions, nil
}

// checks returns results of checks, which it does not change. It causes no notice, because few commands print them: see
// Access.ReportHidden.
func (f secretFilter) checks(job backends.JobRef, checks []backends.Check) []backends.Check {
	if f.shows(job) {
		return checks
	}
	checks = slices.Clone(checks) // other users share them
	for i, c := range checks {
		checks[i].Output = mask.URLs(c.Output)
		checks[i].Hidden = checks[i].Output != c.Output
	}
	return checks
}

// checkDefinitions returns definitions of checks, which it does not change.
func (f secretFilter) checkDefinitions(
	job backends.JobRef, checks []backends.CheckDefinition,
) []backends.CheckDefinition {
	if f.shows(job) {
		return checks
	}
	checks = slices.Clone(checks)
	for i, c := range checks {
		checks[i].Path = mask.Path(c.Path)
		checks[i].Hidden = checks[i].Path != c.Path
	}
	return checks
}

// job returns a job whose task events have no secrets, such as the URL of an artifact that could not be downloaded. It
// does not change the events, because other users share them. It causes no notice: see Access.ReportHidden. Commands
// that may register definitions get these events too, because they print them.
func (f secretFilter) job(job backends.Job) backends.Job {
	hasSecret := func(t backends.Task) bool { return slices.ContainsFunc(t.Events, eventHasSecret) }
	isCopy := false
	for i, a := range job.Allocations {
		if !slices.ContainsFunc(a.Tasks, hasSecret) || f.owned.Owns(job.Ref()) {
			continue
		}
		if !isCopy {
			job.Allocations, isCopy = slices.Clone(job.Allocations), true
		}
		a.Tasks = slices.Clone(a.Tasks)
		for j, t := range a.Tasks {
			a.Tasks[j].Events = slices.Clone(t.Events)
			for k, e := range t.Events {
				if eventHasSecret(e) {
					a.Tasks[j].Events[k] = maskEvent(e)
				}
			}
		}
		job.Allocations[i] = a
	}
	return job
}

// eventHasSecret reports whether an event has a URL with a secret. It inspects few events, because listings have many.
func eventHasSecret(e backends.Event) bool {
	mayHaveURL := e.Type == "Failed Artifact Download" || strings.Contains(e.Message, "://")
	return mayHaveURL && mask.URLs(e.Message) != e.Message
}

func maskEvent(e backends.Event) backends.Event {
	e.Message, e.Hidden = mask.URLs(e.Message), true
	e.Details = maps.Clone(e.Details)
	for name, value := range e.Details {
		e.Details[name] = mask.URLs(value)
	}
	return e
}
