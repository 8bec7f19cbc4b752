package commands

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
)

// latestDeploymentText returns the latest deployment with a table of its groups, as nomad job status prints it. The
// facts in more follow the ID.
func latestDeploymentText(d backends.Deployment, style render.Style, more ...render.Fact) string {
	var b strings.Builder
	b.WriteString("Latest Deployment\n")
	facts := append([]render.Fact{{Name: "ID", Text: phrase.ShortID(d.ID)}}, more...)
	render.Facts(&b, append(facts, render.Fact{Name: "Status", Text: d.Status},
		render.Fact{Name: "Description", Text: d.Description}), style)
	section(&b, "Deployed", style, deployedRows(d.Groups))
	return b.String()
}

// deployedRows returns the table of a deployment's groups. It has the columns of the nomad CLI: those for canaries and
// auto-revert are left out if no group uses them.
func deployedRows(groups []backends.DeploymentGroup) [][]string {
	canaries := slices.ContainsFunc(groups, func(g backends.DeploymentGroup) bool { return g.Canaries > 0 })
	autoRevert := slices.ContainsFunc(groups, func(g backends.DeploymentGroup) bool { return g.AutoRevert })
	var rows [][]string
	add := func(cells [9]string) {
		var row []string
		for i, cell := range cells {
			if i == 1 && !autoRevert || (i == 2 || i == 4) && !canaries {
				continue
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	add([9]string{
		"Task Group", "Auto Revert", "Promoted", "Desired", "Canaries", "Placed", "Healthy", "Unhealthy",
		"Progress Deadline",
	})
	for _, g := range groups {
		n := numberCells(g.Desired, g.Canaries, g.Placed, g.Healthy, g.Unhealthy)
		add([9]string{
			g.Group, fmt.Sprint(g.AutoRevert), promotedCell(g, "N/A"), n[0], n[1], n[2], n[3], n[4], deadlineCell(g, "N/A"),
		})
	}
	return rows
}

// promotedCell returns whether the canaries of a group were promoted, or none for a group without canaries.
func promotedCell(g backends.DeploymentGroup, none string) string {
	if g.Canaries == 0 {
		return none
	}
	return fmt.Sprint(g.Promoted)
}

func deadlineCell(g backends.DeploymentGroup, none string) string {
	if g.ProgressDeadline.IsZero() {
		return none
	}
	return g.ProgressDeadline.UTC().Format(time.RFC3339)
}

// deploymentsText returns the list of deployments for a terminal: the latest in full, and a line for each other one.
func deploymentsText(all []backends.Deployment, style render.Style) string {
	var b strings.Builder
	b.WriteString(latestDeploymentText(all[0], style, render.Fact{Name: "Version", Text: fmt.Sprint(all[0].Version)}))
	if len(all) == 1 {
		return b.String()
	}
	rows := [][]string{{"ID", "Version", "Status", "Healthy", "Description"}}
	for _, d := range all[1:] {
		healthy, desired := 0, 0
		for _, g := range d.Groups {
			healthy, desired = healthy+g.Healthy, desired+g.Desired
		}
		rows = append(rows, []string{
			phrase.ShortID(d.ID), fmt.Sprint(d.Version), d.Status, fmt.Sprintf("%d/%d", healthy, desired), d.Description,
		})
	}
	section(&b, "Earlier Deployments", style, rows)
	return b.String()
}

// deploymentRows returns the list of deployments for a pipe, with a line for each group.
func deploymentRows(all []backends.Deployment) [][]string {
	rows := [][]string{{
		"ID", "Version", "Status", "Group", "Desired", "Placed", "Healthy", "Unhealthy", "Canaries", "Promoted",
		"Auto Revert", "Progress Deadline", "Description",
	}}
	for _, d := range all {
		groups := d.Groups
		if len(groups) == 0 {
			groups = []backends.DeploymentGroup{{Group: "-"}}
		}
		for _, g := range groups {
			row := append([]string{phrase.ShortID(d.ID), fmt.Sprint(d.Version), d.Status, g.Group},
				numberCells(g.Desired, g.Placed, g.Healthy, g.Unhealthy, g.Canaries)...)
			rows = append(rows, append(row, promotedCell(g, "-"), fmt.Sprint(g.AutoRevert), deadlineCell(g, "-"), d.Description))
		}
	}
	return rows
}
