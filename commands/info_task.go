package commands

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-runewidth"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/render"
)

// writeTask writes the block of a task.
func (v *infoView) writeTask(text *render.Details, a backends.Allocation, t backends.Task) {
	detail, known := v.details[a.ID]
	definition := detail.Task(t.Name)
	state := jobstate.Task(a, t, v.checks[a.ID], v.now)
	name := a.Group + "/" + t.Name
	if definition.Hook != "" {
		name += " (" + definition.Lifecycle() + ")"
	}
	text.Heading(t.ExecID, state.Word, v.when(ageStart(a, t)), name, levelColor(state.Level))
	// A task that has finished normally needs no reason: the fact Started shows how long it ran.
	if reason := state.Reason(); reason != "" && (state.Level != jobstate.Neutral || t.Finished.IsZero()) {
		text.ColoredFact("Reason", "", reason, reasonColor(state.Level))
	}
	if !t.Started.IsZero() {
		text.Fact("Started", "", v.startedText(a, t))
	}
	usage, measured := v.usage[t.ExecID]
	switch runs := a.MayRun(t); {
	case runs && measured:
		text.Fact("Usage", "", usageWithLimits(usage, definition))
	case runs && known:
		text.Fact("Usage", "", "not measured; limits: "+limitsText(definition))
	case runs:
		text.Fact("Usage", "", "not measured")
	case known:
		text.Fact("Limits", "", limitsText(definition))
	}
	if t.Restarts > 0 || known && (t.Failed || a.MayRun(t)) {
		text.Fact("Restarts", "", v.restartText(t, definition.Restart))
	}
	for _, m := range definition.Volumes {
		text.Fact("Volume", m.Name, volumeText(m))
	}
	for _, check := range v.checks[a.ID] {
		if check.Task == "" || check.Task == t.Name {
			request := ""
			if definition, ok := v.checkDefinition(a, check); ok {
				request = ": " + checkRequest(definition)
			}
			text.Fact("Check", check.Status, check.Service+" "+check.Name+request+": "+checkText(check))
		}
	}
	for _, event := range t.Events {
		v.hidden = v.hidden || event.Hidden
		text.Event(v.when(event.Time), event.Type, event.Message)
	}
	v.writeExcerpt(text, t)
}

// startedText returns when a task started and, if it has stopped, how long it ran.
func (v *infoView) startedText(a backends.Allocation, t backends.Task) string {
	text := t.Started.UTC().Format(time.RFC3339)
	if a.TaskState(t) == backends.StateDead && t.Finished.After(t.Started) {
		text += ", ran for " + jobstate.Age(t.Finished.Sub(t.Started))
	}
	return text
}

// maxCheckColumns limits the path and the output of a check. JSON has all of them.
const maxCheckColumns = 160

func checkLine(text string) string {
	return runewidth.Truncate(strings.Join(strings.Fields(text), " "), maxCheckColumns, "…")
}

var (
	htmlHead = regexp.MustCompile(`(?is)<head\b.*?</head>`) // has a title, which the body repeats
	htmlTag  = regexp.MustCompile(`<[^>]*>`)
)

// checkDefinition returns the definition of a check of an allocation, if it is known. It records whether the check has
// hidden values, so it is called for checks that are printed.
func (v *infoView) checkDefinition(a backends.Allocation, c backends.Check) (backends.CheckDefinition, bool) {
	definition, ok := v.details[a.ID].Check(c)
	v.hidden = v.hidden || c.Hidden || definition.Hidden
	return definition, ok
}

// checkRequest returns what a check does: "GET /ready on port http" or "TCP on port 8080".
func checkRequest(c backends.CheckDefinition) string {
	request := strings.ToUpper(c.Type)
	if c.Type == "http" {
		request = c.Method + " " + checkLine(c.Path)
	}
	if c.Protocol == "https" {
		request = "HTTPS " + request
	}
	if c.Port != "" {
		request += " on port " + c.Port
	}
	return request
}

// checkText returns the result of a check on one line, without the tags of an HTML page.
func checkText(c backends.Check) string {
	output := strings.TrimSpace(c.Output)
	if strings.HasPrefix(output, "<") {
		output = htmlTag.ReplaceAllString(htmlHead.ReplaceAllString(output, ""), " ")
	}
	output = checkLine(output)
	if c.StatusCode != 0 {
		output = strings.TrimSuffix(fmt.Sprintf("HTTP %d, %s", c.StatusCode, output), ", ")
	}
	return output
}

// reasonColor returns the color of a reason. The reason of a good state is not colored.
func reasonColor(level jobstate.Level) render.Color {
	if level == jobstate.Good {
		return ""
	}
	return levelColor(level)
}

// writeExcerpt writes the last lines of a crashed task.
func (v *infoView) writeExcerpt(text *render.Details, t backends.Task) {
	excerpt, ok := v.excerpts[t.ExecID]
	if !ok {
		return
	}
	for _, line := range excerpt.Lines {
		text.Fact(excerpt.Output, "", line)
	}
	hint := "see: logs " + t.ExecID
	if excerpt.Previous {
		hint = "see: logs --previous " + t.ExecID
	}
	if excerpt.Failed {
		hint = "could not be read (" + hint + ")"
	}
	text.Fact("Log", "", hint)
}

// usageWithLimits returns what a task uses next to what it may use: "memory 34/64 MiB, peak 40 MiB, CPU 3/100 MHz".
func usageWithLimits(u backends.Usage, d backends.TaskDefinition) string {
	memory := memoryText(u.Memory)
	if limit := max(d.Memory, d.MemoryMax); limit > 0 {
		memory = fraction(memory, humanize.IBytes(limit))
	}
	facts := []string{"memory " + memory}
	if u.MemoryMax != nil {
		facts = append(facts, "peak "+memoryText(u.MemoryMax))
	}
	if d.MemoryMax > d.Memory {
		facts = append(facts, "reserved "+humanize.IBytes(d.Memory))
	}
	cpu := "-"
	if u.CPU != nil {
		cpu = strconv.FormatFloat(math.Floor(*u.CPU), 'f', 0, 64)
	}
	if d.CPU > 0 {
		cpu += "/" + strconv.Itoa(d.CPU)
	}
	return strings.Join(append(facts, "CPU "+cpu+" MHz"+coresText(d)), ", ")
}

// fraction returns "34/64 MiB" for "34 MiB" and "64 MiB", and "34 KiB/64 MiB" for different units.
func fraction(part, whole string) string {
	number, unit, _ := strings.Cut(part, " ")
	if strings.HasSuffix(whole, " "+unit) {
		return number + "/" + whole
	}
	return part + "/" + whole
}

func limitsText(d backends.TaskDefinition) string {
	text := "memory " + humanize.IBytes(d.Memory)
	if d.MemoryMax > d.Memory {
		text += " reserved, " + humanize.IBytes(d.MemoryMax) + " at most"
	}
	return fmt.Sprintf("%s, CPU %d MHz%s", text, d.CPU, coresText(d))
}

func coresText(d backends.TaskDefinition) string {
	if d.Cores == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d reserved cores)", d.Cores)
}

// restartText returns how often Nomad has restarted a task, and the policy: "139 restarts; policy: 100 in 10m, then
// delay". It does not count what the policy still permits, because Nomad retains only the last ten events.
func (v *infoView) restartText(t backends.Task, p backends.RestartPolicy) string {
	text := "1 restart"
	if t.Restarts != 1 {
		text = fmt.Sprintf("%d restarts", t.Restarts)
	}
	switch {
	case p.Mode == "":
	case p.Attempts == 0 && p.Mode == "fail":
		text += "; policy: never"
	default:
		text += fmt.Sprintf("; policy: %d in %s, then %s", p.Attempts, durationText(p.Interval), p.Mode)
	}
	if !t.LastRestart.IsZero() {
		text += "; last restart " + v.when(t.LastRestart)
	}
	return text
}

func volumeText(m backends.VolumeMount) string {
	text := "at " + m.Destination
	if m.Source != "" {
		text += ", " + m.Type + " volume " + m.Source
	}
	if m.ReadOnly {
		text += ", read-only"
	}
	return text
}

// durationText returns a duration without zero units: 10m, not 10m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
