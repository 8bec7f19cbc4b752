package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"nomadctld/config"
	"nomadctld/internal/audit"
)

// reloads is the state of Reload. The zero value is ready to use.
type reloads struct {
	mu          sync.Mutex
	files       []string   // that the last attempt read; guarded by mu
	loaded      fileStamps // of these files; nil: they must be loaded again; guarded by mu
	lastFailure string     // of the last attempt, if it failed; guarded by mu
}

// Reloaded describes the result of a reload.
type Reloaded struct {
	Summary     string
	Changes     []string // names of settings and files, such as "users.ann removed"
	NeedRestart []string // changed settings that are not applied; see NeedRestart
	Stopped     int      // commands and operations whose user lost the access that they used
}

// RefusedError is the error for a configuration that is not applied.
type RefusedError struct{ Diagnostics []string }

func (e *RefusedError) Error() string { return strings.Join(e.Diagnostics, "; ") }

// Reload loads the configuration and the files that it names again, and applies all of it or, with an error, nothing.
// New connections and commands use the new configuration. Commands and operations that use access which their user no
// longer has are stopped; all others continue. cause is for the log and the audit log, which get the result.
func (g *Gateway) Reload(cause string) (Reloaded, error) {
	g.reloads.mu.Lock()
	defer g.reloads.mu.Unlock()
	next, err := g.load()
	if err != nil {
		g.reloads.lastFailure = err.Error()
		g.recordRefusal(cause, err)
		return Reloaded{}, err
	}
	g.reloads.lastFailure = ""
	result := g.apply(next)
	g.recordReload(cause, result)
	return result, nil
}

// reloadChanged is Reload after a file has changed. It does nothing if the content of all files is the same, or if the
// configuration is refused for the same reasons as before.
func (g *Gateway) reloadChanged() {
	g.reloads.mu.Lock()
	defer g.reloads.mu.Unlock()
	const cause = "a file changed"
	next, err := g.load()
	switch {
	case err != nil && err.Error() != g.reloads.lastFailure:
		g.reloads.lastFailure = err.Error()
		g.recordRefusal(cause, err)
	case err == nil && (g.reloads.lastFailure != "" || len(g.changes(next)) > 0):
		g.reloads.lastFailure = ""
		g.recordReload(cause, g.apply(next))
	}
}

// load returns the parts that are built from the files now. The caller holds reloads.mu.
func (g *Gateway) load() (p *parts, err error) {
	now := g.current.Load()
	var loaded fileStamps
	g.reloads.files, loaded = loadConsistent(g.reloads.files, func() []string {
		c, diagnostics, files := config.LoadFiles(now.config.Path, Commands())
		p, err = nil, refusal(diagnostics)
		if c != nil {
			pending := keepStartSettings(c, now.config)
			if p, err = build(c, g.log, g.Metrics, now.parts); err == nil {
				p.pending, p.warnings = pending, diagnostics
			}
		}
		return files
	})
	g.reloads.loaded = loaded
	if loaded == nil {
		return nil, errors.New("the files change all the time; reload when they are complete")
	}
	return p, err
}

// refusal returns a RefusedError with the diagnostics that are errors, or nil.
func refusal(diagnostics []config.Diagnostic) error {
	var refused RefusedError
	for _, d := range diagnostics {
		if !d.Warning {
			refused.Diagnostics = append(refused.Diagnostics, d.String())
		}
	}
	if refused.Diagnostics == nil {
		return nil
	}
	return &refused
}

func (g *Gateway) changes(next *parts) []string {
	return next.config.Source.Changes(g.current.Load().config.Source)
}

// apply makes p the current generation. It cannot fail. The caller holds reloads.mu.
func (g *Gateway) apply(p *parts) Reloaded {
	earlier, next := g.current.Load(), g.newGeneration(p)
	result := Reloaded{
		Summary: p.config.Summary(), Changes: g.changes(p), NeedRestart: p.pending,
		Stopped: g.running.Apply(next.requests), // before new commands are accepted
	}
	g.current.Store(next)
	g.server.Apply(next.settings)
	for _, problem := range g.ops.SetKeys(p.jobKeys...) {
		g.log.Error("a saved job definition is not signed by a host key any more", "error", problem)
	}
	g.Metrics.CountSlots(slotsOf(p.clients))
	earlier.closeUnused(p)
	return result
}

// recordReload writes the result of a reload to the log, the audit log and the metrics.
func (g *Gateway) recordReload(cause string, r Reloaded) {
	for _, d := range g.current.Load().warnings {
		g.log.Warn("configuration warning", "warning", d.String())
	}
	changes := firstChanges(r.Changes)
	text := strings.Join(changes, ", ")
	if text == "" {
		text = "none"
	}
	g.log.Info("configuration reloaded", "cause", cause, "changes", text, "stopped_commands", r.Stopped,
		"loaded", r.Summary)
	if len(r.NeedRestart) > 0 {
		g.log.Warn("changed settings that need a restart were not applied",
			"settings", strings.Join(r.NeedRestart, ", "))
	}
	g.audit.Record(audit.Event{
		Kind: audit.Reload, Time: time.Now().UTC(), Cause: cause, Changes: changes,
	})
	g.Metrics.Reloaded(nil)
}

// firstChanges returns the changes to log, and how many are left out.
func firstChanges(all []string) []string {
	const maxChanges = 50
	if len(all) <= maxChanges {
		return all
	}
	return append(slices.Clone(all[:maxChanges]), fmt.Sprintf("%d more", len(all)-maxChanges))
}

// recordRefusal records a configuration that was refused.
func (g *Gateway) recordRefusal(cause string, err error) {
	reason := []any{"cause", cause, "error", err}
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
		for _, d := range refused.Diagnostics {
			g.log.Error("configuration error", "error", d)
		}
		reason = []any{"cause", cause, "errors", len(refused.Diagnostics)}
	}
	g.log.Error("configuration not reloaded; the earlier one stays in effect", reason...)
	g.audit.Record(audit.Event{Kind: audit.Reload, Time: time.Now().UTC(), Cause: cause, Error: err.Error()})
	g.Metrics.Reloaded(err)
}

// watchedFiles returns the files to watch, and their stamps at the last load.
func (g *Gateway) watchedFiles() (files []string, loaded fileStamps) {
	g.reloads.mu.Lock()
	defer g.reloads.mu.Unlock()
	return g.reloads.files, g.reloads.loaded
}
