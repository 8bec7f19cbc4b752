package commands

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(history) }) }

type history struct{ json bool }

func (h *history) Spec() router.Spec {
	return router.Spec{
		Name:          "history",
		Args:          "JOB",
		Short:         "List the versions of a job",
		Group:         router.GroupLook,
		Rank:          5,
		Target:        router.TargetJob,
		RightSet:      router.Read,
		WantsTerminal: true,
		JSON:          historyOutput{},
		Long: `
List the versions of a job that Nomad still has, newest first, with the changes in
each version: ~ changed, + added, - removed.

Values that look like secrets are shown as ***, unless you have the secrets right.
See also: revert.`,
		Examples: []router.Example{{Line: "history p-team1-web"}},
		Flags:    func(f *pflag.FlagSet) { f.BoolVar(&h.json, "json", false, "print JSON") },
	}
}

type historyOutput struct {
	Versions []versionOutput `json:"versions" doc:"newest first"`
}

type versionOutput struct {
	Version   uint64         `json:"version" doc:""`
	Stable    bool           `json:"stable" doc:"a deployment of this version succeeded"`
	Stopped   bool           `json:"stopped" doc:"this version records that the job was stopped"`
	Tag       string         `json:"tag" doc:"the tag's name, or empty"`
	Submitted time.Time      `json:"submitted" doc:""`
	Changes   []changeOutput `json:"changes" doc:"differences from the previous version; empty for the oldest"`
}

type changeOutput struct {
	Path string `json:"path" doc:"the field"`
	Old  string `json:"old" doc:"empty: added"`
	New  string `json:"new" doc:"empty: removed"`
}

func (h *history) Run(ctx context.Context, req *router.Request) error {
	done := req.Console.ShowActivity("waiting for the cluster")
	versions, err := req.Access.Cluster.Versions(ctx, req.Target.Job)
	done()
	if err != nil {
		return phrase.JobError(req.Target.Job, err)
	}
	if h.json {
		return render.JSON(req.Console.Stdout, historyJSON(versions))
	}
	_, err = io.WriteString(req.Console.Stdout, historyText(versions, req.Console.Style()))
	return err
}

func historyJSON(versions []backends.Version) historyOutput {
	out := historyOutput{Versions: []versionOutput{}}
	for _, v := range versions {
		one := versionOutput{v.Number, v.Stable, v.Stopped, v.Tag, v.Submitted, []changeOutput{}}
		for _, c := range v.Changes {
			one.Changes = append(one.Changes, changeOutput(c))
		}
		out.Versions = append(out.Versions, one)
	}
	return out
}

func historyText(versions []backends.Version, style render.Style) string {
	var b strings.Builder
	for i, v := range versions {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "version %d, %s", v.Number, v.Submitted.UTC().Format("2006-01-02T15:04:05Z"))
		if v.Stable {
			b.WriteString(", " + style.Colorize(render.Good, "stable"))
		}
		if v.Stopped {
			b.WriteString(", " + style.Colorize(render.Bad, "stopped"))
		}
		if v.Tag != "" {
			b.WriteString(", " + escape.Text(v.Tag))
		}
		b.WriteString("\n")
		for _, c := range v.Changes {
			b.WriteString("  " + changeText(c, style) + "\n")
		}
	}
	return b.String()
}

// changeText returns a change. On a terminal, its continuation lines are aligned with the path. The caller indents the
// first line by two columns.
func changeText(c backends.Change, style render.Style) string {
	path, before, after := escape.Text(c.Path), escape.Text(c.Old), escape.Text(c.New)
	color, text := render.Warn, "~ "+path+": "+before+" -> "+after
	switch {
	case c.Old == "":
		color, text = render.Good, "+ "+path+": "+after
	case c.New == "":
		color, text = render.Bad, "- "+path+": "+before
	}
	return style.Colorize(color, render.Indented(text, len("  + "), style.Width))
}
