package phrase

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"nomadctld/backends"
)

// WhyNotRunning returns why a task is not running and what Nomad does about it, as a clause without a subject: "exited
// 4s ago with code 2, and Nomad restarts it in 12s". It returns "" if Nomad has recorded no reason.
func WhyNotRunning(a backends.Allocation, t backends.Task, now time.Time) string {
	if a.Status == "lost" {
		return "is lost, because its node is down"
	}
	for i := len(t.Events) - 1; i >= 0; i-- {
		if why := causeOf(t.Events[i], now); why != "" {
			return why + nextStep(a, t.Events[i+1:], now)
		}
	}
	return ""
}

// causeOf returns the clause for an event that prevents or ends a run of the task, or "".
func causeOf(e backends.Event, now time.Time) string {
	ago := ""
	if age := now.Sub(e.Time).Truncate(time.Second); age >= 0 {
		ago = " " + shortDuration(age) + " ago"
	}
	switch e.Type {
	case "Terminated":
		signal := e.Details["signal"]
		switch {
		case e.Details["oom_killed"] == "true" || strings.Contains(e.Message, "OOM"):
			return "was OOM-killed" + ago
		case signal != "" && signal != "0":
			return "was killed" + ago + " by signal " + signal
		case e.Details["exit_code"] != "":
			return "exited" + ago + " with code " + e.Details["exit_code"]
		}
		return "exited" + ago
	case "Template":
		return "waits for its templates: " + oneLine(e.Message)
	case "Driver Failure", "Setup Failure", "Failed Artifact Download", "Failed Validation", "Task hook failed":
		return "failed to start" + ago + ": " + oneLine(e.Message)
	case "Sibling Task Failed":
		return "was stopped" + ago + ": " + oneLine(e.Message)
	case "Downloading Artifacts":
		return "is downloading its artifacts"
	}
	return ""
}

// nextStep returns what Nomad does after the events that follow a failure.
func nextStep(a backends.Allocation, later []backends.Event, now time.Time) string {
	for _, e := range later {
		switch e.Type {
		case "Restarting":
			delay, _ := strconv.ParseInt(e.Details["start_delay"], 10, 64)
			if left := e.Time.Add(time.Duration(delay)).Sub(now).Round(time.Second); left > 0 {
				return ", and Nomad restarts it in " + shortDuration(left)
			}
			return ", and Nomad is restarting it"
		case "Not Restarting":
			if a.ReschedulePending {
				return ", and Nomad will replace the allocation"
			}
			return ", and Nomad does not restart it"
		}
	}
	return ""
}

// shortDuration returns a duration in its largest unit: 4s, 3m, 2h, 5d.
func shortDuration(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// oneLine joins the lines of a message, and cuts it after 200 bytes.
func oneLine(text string) string {
	const maxLength = 200
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxLength {
		return strings.ToValidUTF8(text[:maxLength], "") + "…"
	}
	return text
}
