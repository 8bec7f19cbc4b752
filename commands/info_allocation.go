package commands

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
)

// writeAllocation writes the block of an allocation, without its tasks.
func (v *infoView) writeAllocation(text *render.Details, a backends.Allocation) {
	detail := v.details[a.ID]
	text.Heading(strings.TrimPrefix(a.Name, a.JobID+"."), a.Status, "created "+v.when(a.Created), a.ID,
		render.StateColor(a.Status))
	if len(a.Tasks) == 0 { // the client agent has not started it, so there is no task to show the reason
		for _, reason := range jobstate.Task(a, backends.Task{}, nil, v.now).Reasons {
			text.ColoredFact("Reason", "", reason, render.Warn)
		}
		if a.ClientReason != "" {
			text.Fact("Client", "", a.ClientReason)
		}
	}
	text.Fact("Node", "", v.nodeText(a, detail))
	if a.Status == "unknown" {
		text.ColoredFact("Disconnected", "", v.when(a.Modified)+
			": the node has lost its connection to Nomad; the tasks may still be running", render.Warn)
	}
	text.Fact("Version", "", v.versionText(a))
	if a.Desired != "" && a.Desired != "run" {
		text.Fact("Desired", "", strings.TrimSuffix(a.Desired+": "+a.DesiredReason, ": "))
	}
	for _, p := range detail.Ports {
		text.Fact("Address", p.Label, addressText(p, detail.NetworkMode))
	}
	if !detail.Deadline.IsZero() && !a.TerminalStatus() {
		text.Fact("Deadline", "", v.when(detail.Deadline)+" (max_run_duration): then Nomad stops it")
	}
	v.writeReplacements(text, a)
}

// nodeText returns the node of an allocation and, if it is not as usual, its state.
func (v *infoView) nodeText(a backends.Allocation, detail backends.AllocationDetail) string {
	facts := []string{cmp.Or(a.Node, "none yet")}
	node, known := v.nodes[a.NodeID]
	switch {
	case node.Draining && !node.DrainDeadline.IsZero():
		facts = append(facts, "draining (deadline "+v.when(node.DrainDeadline)+")")
	case node.Draining:
		facts = append(facts, "draining")
	case node.Ineligible:
		facts = append(facts, "not eligible for new allocations")
	}
	if known && node.Status != "ready" {
		facts = append(facts, node.Status)
	}
	if detail.Migrating && !a.TerminalStatus() {
		facts = append(facts, "Nomad moves the allocation to another node")
	}
	return strings.Join(facts, "; ")
}

func (v *infoView) versionText(a backends.Allocation) string {
	facts := []string{fmt.Sprint(a.Version)}
	if a.Canary {
		facts = append(facts, "canary")
	}
	if a.Version != v.job.Version && v.job.ID != "" && !a.TerminalStatus() {
		facts = append(facts, fmt.Sprintf("the job is at version %d", v.job.Version))
	}
	switch {
	case a.Healthy == nil:
	case *a.Healthy:
		facts = append(facts, "healthy")
	default:
		facts = append(facts, "unhealthy")
	}
	return strings.Join(facts, ", ")
}

// addressText returns where a port can be reached on the node, and its number in the allocation's network.
func addressText(p backends.Port, mode string) string {
	text := net.JoinHostPort(p.Host, strconv.Itoa(p.Value))
	if p.To > 0 && p.To != p.Value {
		text += " -> " + strconv.Itoa(p.To)
	}
	if p.Task != "" {
		return text + " (task " + p.Task + ")"
	}
	if mode != "" && mode != "host" {
		text += " (network mode " + mode + ")"
	}
	return text
}

// writeReplacements writes which allocation this one replaces, and whether and when Nomad replaces it.
func (v *infoView) writeReplacements(text *render.Details, a backends.Allocation) {
	detail, known := v.details[a.ID]
	if n := len(a.Rescheduled); n > 0 {
		last := a.Rescheduled[n-1]
		text.Fact("Rescheduled", "", fmt.Sprintf("%s, replaces allocation %s (attempt %d)",
			v.when(last.Time), phrase.ShortID(last.Previous), n))
	}
	next := "none"
	switch {
	case a.Next != "":
		text.Fact("Replaced by", "", phrase.ShortID(a.Next))
		return
	case a.Status == "unknown" && detail.NoReplace:
		text.Fact("Replacement", "", "none while the node is disconnected (disconnect: replace = false)")
		return
	case a.Status != "failed" || a.JobType == "system" || a.JobType == "sysbatch":
		return
	case a.RescheduleAt.After(v.now):
		next = v.when(a.RescheduleAt)
	case !a.RescheduleAt.IsZero():
		next = "now"
	case v.deploymentFailed(a) && (!known || detail.Reschedule.CanReschedule()):
		next = "none, because the deployment failed"
	}
	if known {
		next += "; policy: " + reschedulePolicyText(detail.Reschedule)
	}
	text.Fact("Replacement", "", next)
}

// deploymentFailed reports whether the deployment of the allocation's version has failed. Nomad replaces none of its
// allocations then.
func (v *infoView) deploymentFailed(a backends.Allocation) bool {
	d := v.job.LatestDeployment
	return d != nil && d.Status == "failed" && d.Version == a.Version
}

// reschedulePolicyText describes a reschedule policy: "5 in 24h, after 30s to 1h".
func reschedulePolicyText(p backends.ReschedulePolicy) string {
	delay := ""
	if p.Delay > 0 {
		delay = ", after " + durationText(p.Delay)
		if p.MaxDelay > p.Delay {
			delay += " to " + durationText(p.MaxDelay)
		}
	}
	switch {
	case p.Unlimited:
		return "unlimited" + delay
	case p.Attempts > 0:
		return fmt.Sprintf("%d in %s%s", p.Attempts, durationText(p.Interval), delay)
	}
	return "never"
}
