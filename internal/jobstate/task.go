package jobstate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"nomadctld/backends"
)

// crashInterval is the time after a crash in which a running task still needs attention.
const crashInterval = 10 * time.Minute

// Task returns the state of a task of an allocation. t is the zero Task if the client agent has not started the
// allocation. checks are the allocation's service checks, as far as they are known.
func Task(a backends.Allocation, t backends.Task, checks []backends.Check, now time.Time) State {
	switch {
	case a.TaskState(t) == backends.StateUnknown || a.Status == "unknown" && t.Name == "":
		reasons := []string{"node disconnected; may still be running"}
		return State{Word: "unknown", Reasons: reasons, Level: Warn, Problem: true}
	case a.Status == "lost":
		return State{Word: "lost", Reasons: []string{"node down"}, Level: Bad}
	case t.Name == "" && a.Status == "failed":
		return State{Word: "failed", Reasons: withReplacement(a, nil, now), Level: Bad, Problem: !Superseded(a)}
	case t.Name == "":
		return State{Word: a.Status, Reasons: []string{"waits for its node to start it"}, Level: Warn}
	case a.TaskState(t) == backends.StateDead:
		return deadTask(a, t, now)
	case a.Runs(t):
		return runningTask(a, t, checks, now)
	}
	return pendingTask(a, t, now)
}

// deadTask returns the state of a task that has stopped for good.
func deadTask(a backends.Allocation, t backends.Task, now time.Time) State {
	stopped := a.Desired == "stop" || a.Desired == "evict"
	cause := failureCause(t)
	switch {
	case a.Status == "failed" && (t.Failed || cause != ""):
		if cause == "" {
			cause = "failed"
		}
		return State{Word: "failed", Reasons: withReplacement(a, []string{cause}, now), Level: Bad, Problem: !Superseded(a)}
	case t.Failed && !stopped:
		return State{Word: "failed", Reasons: nonEmpty(cause), Level: Bad, Problem: true}
	case stopped:
		return State{Word: "stopped", Reasons: ago(t, now)}
	}
	return State{Word: "complete", Reasons: ago(t, now)}
}

// ago returns when the task finished, if that is known.
func ago(t backends.Task, now time.Time) []string {
	if t.Finished.IsZero() {
		return nil
	}
	return []string{Age(now.Sub(t.Finished)) + " ago"}
}

func nonEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// withReplacement appends to the reasons whether and when Nomad replaces a failed allocation.
func withReplacement(a backends.Allocation, reasons []string, now time.Time) []string {
	switch {
	case a.Next != "":
		return append(reasons, "replaced")
	case Superseded(a):
		return reasons
	case a.RescheduleAt.After(now):
		reasons = append(reasons, "replacement in "+Age(a.RescheduleAt.Sub(now).Round(time.Second)))
	case !a.RescheduleAt.IsZero():
		reasons = append(reasons, "being replaced")
	default: // no evaluation is waiting, or the deployment has failed
		reasons = append(reasons, "gave up")
	}
	if n := len(a.Rescheduled); n > 0 {
		reasons = append(reasons, "rescheduled x"+strconv.Itoa(n))
	}
	return reasons
}

// runningTask returns the state of a task that is running.
func runningTask(a backends.Allocation, t backends.Task, checks []backends.Check, now time.Time) State {
	s := State{Word: "running", Level: Good}
	if a.Stopping() {
		s.Word, s.Level = "stopping", Warn
	}
	var failing []string
	for _, c := range checks {
		if c.Status == "failure" && (c.Task == "" || c.Task == t.Name) {
			failing = append(failing, c.Name)
		}
	}
	s.Unhealthy = len(failing) > 0 || a.Healthy != nil && !*a.Healthy
	switch {
	case len(failing) > 0:
		slices.Sort(failing)
		s.warn("unhealthy: " + strings.Join(slices.Compact(failing), ", ") + " failing")
	case s.Unhealthy:
		s.warn("unhealthy" + unhealthyCause(t))
	}
	if a.Canary {
		s.Reasons = append(s.Reasons, fmt.Sprintf("canary of version %d", a.Version))
	}
	if text, at := crashes(t); text != "" {
		s.Reasons = append(s.Reasons, text+", "+Age(now.Sub(at))+" ago")
		if now.Sub(at) < crashInterval {
			s.Level, s.Problem = Warn, true
		}
	}
	return s
}

func (s *State) warn(reason string) {
	s.Reasons, s.Level, s.Problem = append(s.Reasons, reason), Warn, true
}

// unhealthyCause shortens the message with which Nomad explains that an allocation is unhealthy.
func unhealthyCause(t backends.Task) string {
	for _, e := range slices.Backward(t.Events) {
		if e.Type != "Alloc Unhealthy" {
			continue
		}
		switch {
		case strings.Contains(e.Message, "healthy_deadline"), strings.Contains(e.Message, "by deadline"):
			return ": missed its deadline"
		case strings.Contains(e.Message, "failed task"):
			return ": a task failed"
		}
		return ": " + firstLine(e.Message)
	}
	return ""
}

// pendingTask returns the state of a task that waits for its start or restart.
func pendingTask(a backends.Allocation, t backends.Task, now time.Time) State {
	s := State{Word: "pending", Level: Warn}
	for _, e := range slices.Backward(t.Events) {
		switch e.Type {
		case "Restarting":
			s.Word, s.Problem = "restarting", true
			cause := failureCause(t)
			if cause == "" {
				cause = "stopped"
			}
			text := cause + ", restarts now"
			if delay, err := strconv.ParseInt(e.Details["start_delay"], 10, 64); err == nil {
				if left := e.Time.Add(time.Duration(delay)).Sub(now).Round(time.Second); left > 0 {
					text = cause + ", restarts in " + Age(left)
				}
			}
			s.Reasons = []string{text}
			return s
		case "Template":
			s.Reasons = []string{"template waits for " + missingText(firstLine(e.Message), a.Namespace)}
			s.Problem = true
			return s
		case "Driver", "Downloading Artifacts", "Task Setup", "Received":
			if e.Type == "Driver" {
				s.Reasons = []string{firstLine(e.Message)}
				return s
			}
		default:
			if cause := failureCause(t); cause != "" {
				s.warn(cause)
				return s
			}
		}
	}
	started := func(other backends.Task) bool { return other.Name != t.Name && other.State != "pending" }
	if slices.ContainsFunc(a.Tasks, started) {
		return State{Word: "waiting", Reasons: []string{"for the other tasks"}}
	}
	s.Reasons = []string{"for " + Age(now.Sub(a.Modified))}
	s.Problem = now.Sub(a.Modified) > time.Minute
	return s
}

// termination is one stop of a task that was not requested.
type termination struct {
	what string // such as "exit 1" or "OOM-killed"
	at   time.Time
}

// crashes describes the terminations of a running task and when the last one was. It returns "" if there were none.
func crashes(t backends.Task) (text string, last time.Time) {
	all := terminations(t)
	if len(all) == 0 {
		return "", last
	}
	latest := all[len(all)-1]
	return repeated(all, latest.what, t.Restarts), latest.at
}

// repeated returns what happened, with the number of times. Nomad retains only the last events. If all
// retained terminations are alike, the number is that of the restarts, if that is higher.
func repeated(all []termination, what string, restarts int) string {
	n := 0
	for _, e := range all {
		if e.what == what {
			n++
		}
	}
	if n == len(all) {
		n = max(n, restarts)
	}
	if n < 2 {
		return what
	}
	return fmt.Sprintf("%s x%d", what, n)
}

// terminations returns the terminations that were not requested, oldest first.
func terminations(t backends.Task) (all []termination) {
	for i, e := range t.Events {
		if e.Type != "Terminated" {
			continue
		}
		requested := slices.ContainsFunc(t.Events[:i], func(k backends.Event) bool {
			return (k.Type == "Restart Signaled" || k.Type == "Killing") && e.Time.Sub(k.Time) < time.Minute
		})
		if requested || FinishedWell(t, e) {
			continue
		}
		all = append(all, termination{terminationText(e), e.Time})
	}
	return all
}

// Crashed reports whether Nomad has recorded that the task exited without a request. A task that finished without
// failing has not crashed.
func Crashed(t backends.Task) bool { return len(terminations(t)) > 0 }

// FinishedWell reports whether e, one of the task's events, is the end of a task that finished without failing.
func FinishedWell(t backends.Task, e backends.Event) bool {
	return e.Type == "Terminated" && t.State == backends.StateDead && !t.Failed && exitCode(e) == "0"
}

// OOMKilled reports whether a task was killed because it ran out of memory.
func OOMKilled(e backends.Event) bool {
	return e.Type == "Terminated" && (e.Details["oom_killed"] == "true" || strings.Contains(e.Message, "OOM"))
}

var exitCodePattern = regexp.MustCompile(`Exit Code: (\d+)`)

func exitCode(e backends.Event) string {
	if code := e.Details["exit_code"]; code != "" {
		return code
	}
	if found := exitCodePattern.FindStringSubmatch(e.Message); found != nil {
		return found[1]
	}
	return ""
}

func terminationText(e backends.Event) string {
	code, signal := exitCode(e), e.Details["signal"]
	switch {
	case OOMKilled(e):
		return "OOM-killed"
	case signal != "" && signal != "0":
		return "signal " + signal
	case code != "":
		return "exit " + code
	}
	return "terminated"
}

// failureCause describes why a task has failed, or returns "".
func failureCause(t backends.Task) string {
	for _, e := range slices.Backward(t.Events) {
		switch e.Type {
		case "Terminated":
			if all := terminations(t); len(all) > 0 {
				return repeated(all, all[len(all)-1].what, t.Restarts)
			}
		case "Driver Failure", "Setup Failure", "Failed Artifact Download", "Failed Validation", "Task hook failed",
			"Failed Restoring Task":
			return driverText(firstLine(e.Message))
		case "Sibling Task Failed":
			return siblingText(e)
		case "Killing":
			lower := strings.ToLower(e.Message)
			if strings.Contains(lower, "fail") || strings.Contains(lower, "error") {
				return templateText(firstLine(e.Message))
			}
		}
	}
	return ""
}

var siblingPattern = regexp.MustCompile(`sibling "?([^"]+)"? failed`)

func siblingText(e backends.Event) string {
	if found := siblingPattern.FindStringSubmatch(e.Message); found != nil {
		return "task " + found[1] + " failed"
	}
	return firstLine(e.Message)
}

var (
	dependency = regexp.MustCompile(`\b(nomad\.var|nomad|vault|kv|health|catalog)\.([a-z]+)\(([^()\s]+)\)`)
	variable   = regexp.MustCompile(`^(.+)@([^@.]+)\.[^@]+$`) // path@namespace.region
)

// missingText describes what a template waits for, from the names that consul-template gives its dependencies. It
// leaves out the namespace of a Nomad variable if it is that of the allocation.
func missingText(message, namespace string) string {
	message = strings.TrimPrefix(message, "Missing: ")
	return dependency.ReplaceAllStringFunc(message, func(name string) string {
		parts := dependency.FindStringSubmatch(name)
		arg := parts[3]
		switch parts[1] + "." + parts[2] {
		case "nomad.var.block", "nomad.var.get":
			if at := variable.FindStringSubmatch(arg); at != nil {
				arg = at[1]
				if at[2] != namespace {
					arg += " in namespace " + at[2]
				}
			}
			return "Nomad variable " + arg
		case "nomad.service":
			return "Nomad service " + arg
		case "vault.read":
			return "Vault secret " + arg
		case "kv.block", "kv.get":
			return "Consul key " + arg
		case "health.service":
			return "Consul service " + strings.TrimSuffix(arg, "|passing")
		}
		return name
	})
}

var templateLine = regexp.MustCompile(`^:(\d+): `)

// templateText removes the prefixes of an error in a template.
func templateText(text string) string {
	if rest, ok := strings.CutPrefix(text, "Template failed: "); ok {
		rest = strings.TrimPrefix(rest, "(dynamic): ")
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, "parse: "), "template: ")
		return "template: " + templateLine.ReplaceAllString(rest, "line $1: ")
	}
	return text
}

var (
	registryRequest = regexp.MustCompile(`: Get "[^"]*": (dial tcp: )?`)
	lookupAddress   = regexp.MustCompile(`lookup (\S+) on [0-9.:]+: `)
)

// driverText removes the prefixes of a driver's error.
func driverText(text string) string {
	for _, prefix := range []string{
		"rpc error: code = Unknown desc = ", "failed to setup alloc: ", "Failed to create container configuration for image ",
	} {
		text = strings.TrimPrefix(text, prefix)
	}
	text = strings.Replace(text, ": Error response from daemon: ", ": ", 1)
	text = lookupAddress.ReplaceAllString(text, "lookup $1: ")
	return registryRequest.ReplaceAllString(text, ": ")
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}
