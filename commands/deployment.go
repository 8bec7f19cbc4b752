package commands

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(deployment) }) }

type deployment struct{ json bool }

func (d *deployment) Spec() router.Spec {
	return router.Spec{
		Name:          "deployment",
		Args:          "JOB",
		Short:         "List deployments of a job",
		Group:         router.GroupDeployments,
		Rank:          1,
		Target:        router.TargetJob,
		RightSet:      router.Read,
		WantsTerminal: true,
		JSON:          deploymentsOutput{},
		Long: `
List the deployments of a job and their progress, newest first. In a pipe, each
group has a line. On a terminal, the latest deployment has all details, and each
earlier one has a line.

Promoted is whether the canaries were promoted. With Auto Revert, Nomad returns
to the last stable version if the deployment fails. A deployment fails if no more
allocations become healthy before the Progress Deadline.

See also: promote, fail, pause, resume, revert.`,
		Examples: []router.Example{{Line: "deployment p-team1-api"}},
		Flags:    func(f *pflag.FlagSet) { f.BoolVar(&d.json, "json", false, "print JSON") },
	}
}

type deploymentsOutput struct {
	Deployments []deployOutput `json:"deployments" doc:"newest first"`
}

func (d *deployment) Run(ctx context.Context, req *router.Request) error {
	done := req.Console.ShowActivity("waiting for the cluster")
	all, err := req.Access.Cluster.Deployments(ctx, req.Target.Job)
	done()
	if err != nil {
		return phrase.JobError(req.Target.Job, err)
	}
	if d.json {
		return render.JSON(req.Console.Stdout, deploymentsJSON(all))
	}
	if len(all) == 0 {
		return printNotice(req, "%s has no deployments", req.Target.Job.ID)
	}
	var b strings.Builder
	if style := req.Console.Style(); req.Console.Terminal != nil {
		b.WriteString(deploymentsText(all, style))
	} else {
		render.Columns(&b, deploymentRows(all), style)
	}
	_, err = io.WriteString(req.Console.Stdout, b.String())
	return err
}

func deploymentsJSON(all []backends.Deployment) deploymentsOutput {
	out := deploymentsOutput{Deployments: []deployOutput{}}
	for _, d := range all {
		out.Deployments = append(out.Deployments, deploymentJSON(d))
	}
	return out
}
