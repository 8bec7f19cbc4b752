package commands

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"nomadctld/internal/escape"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/render"
)

// psFields are the fields of --format. A job without tasks has one line, with the state of the job.
var psFields = []struct {
	name string
	get  func(v *psView, j psJobView, t psTaskView) string
}{
	{"ID", func(_ *psView, _ psJobView, t psTaskView) string { return t.task.ExecID }},
	{"Allocation", func(_ *psView, _ psJobView, t psTaskView) string { return t.allocation.ID }},
	{"Job", func(_ *psView, j psJobView, _ psTaskView) string { return j.job.ID }},
	{"Name", func(_ *psView, _ psJobView, t psTaskView) string { return t.name() }},
	{"Group", func(_ *psView, _ psJobView, t psTaskView) string { return t.allocation.Group }},
	{"Task", func(_ *psView, _ psJobView, t psTaskView) string { return t.task.Name }},
	{"Node", func(_ *psView, _ psJobView, t psTaskView) string { return t.allocation.Node }},
	{"State", func(_ *psView, _ psJobView, t psTaskView) string { return t.state.Word }},
	{"Reason", func(_ *psView, _ psJobView, t psTaskView) string { return t.state.Reason() }},
	{"JobState", func(_ *psView, j psJobView, _ psTaskView) string { return j.state.Word }},
	{"JobReason", func(_ *psView, j psJobView, _ psTaskView) string { return strings.Join(j.state.Reasons, "; ") }},
	{"Uptime", func(v *psView, _ psJobView, t psTaskView) string { return v.uptime(t) }},
	{"Started", func(_ *psView, _ psJobView, t psTaskView) string {
		if t.task.Started.IsZero() {
			return ""
		}
		return t.task.Started.UTC().Format(time.RFC3339)
	}},
	{"CPU", func(_ *psView, _ psJobView, t psTaskView) string { return cpuText(t.usage.CPU) }},
	{"Mem", func(_ *psView, _ psJobView, t psTaskView) string { return memoryText(t.usage.Memory) }},
	{"MemMax", func(_ *psView, _ psJobView, t psTaskView) string { return memoryText(t.usage.MemoryMax) }},
	{"Restarts", func(_ *psView, _ psJobView, t psTaskView) string { return fmt.Sprint(t.task.Restarts) }},
	{"Version", func(_ *psView, _ psJobView, t psTaskView) string { return fmt.Sprint(t.allocation.Version) }},
	{"Type", func(_ *psView, j psJobView, _ psTaskView) string { return j.job.Type }},
	{"Tier", func(_ *psView, j psJobView, _ psTaskView) string { return j.job.Tier }},
	{"Namespace", func(_ *psView, j psJobView, _ psTaskView) string { return j.job.Namespace }},
}

// psFieldNames lists the fields in the help, a few on each line.
func psFieldNames() string {
	const perLine = 11
	var b strings.Builder
	for i, f := range psFields {
		switch {
		case i == 0:
			b.WriteString("  ")
		case i%perLine == 0:
			b.WriteString("\n  ")
		default:
			b.WriteString(" ")
		}
		b.WriteString(strings.ToLower(f.name))
	}
	return b.String()
}

// psFormat is a parsed --format: text and fields in turn. For a table, fields has one element for each column.
type psFormat struct {
	table  bool
	text   []string // one more than fields; nil for a list of fields
	fields []int    // indexes of psFields
}

var psFieldPattern = regexp.MustCompile(`\{\{\s*\.?(\w*)\s*\}\}`)

// parsePsFormat parses a list of fields, or text with {{.Field}} in it. It is not a Go template, because a template can
// run for ever.
func parsePsFormat(text string) (f psFormat, err error) {
	if !strings.Contains(text, "{{") {
		f.table = true
		for _, name := range strings.Split(text, ",") {
			i, err := psField(strings.TrimPrefix(strings.TrimSpace(name), "."))
			if err != nil {
				return f, err
			}
			f.fields = append(f.fields, i)
		}
		return f, nil
	}
	rest := strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(text)
	rest, f.table = strings.CutPrefix(rest, "table ")
	for {
		at := psFieldPattern.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		i, err := psField(rest[at[2]:at[3]])
		if err != nil {
			return f, err
		}
		f.text, f.fields = append(f.text, rest[:at[0]]), append(f.fields, i)
		rest = rest[at[1]:]
	}
	f.text = append(f.text, rest)
	if strings.Contains(strings.Join(f.text, "\n"), "{{") {
		return f, fmt.Errorf("write a field as {{.Name}}: cannot parse %s", text)
	}
	return f, nil
}

func psField(name string) (int, error) {
	var names []string
	for i, f := range psFields {
		if strings.EqualFold(f.name, name) {
			return i, nil
		}
		names = append(names, strings.ToLower(f.name))
	}
	return 0, fmt.Errorf("no field %q; the fields are %s", name, strings.Join(names, ", "))
}

// writeFormat writes one line for each task.
func (v *psView) writeFormat(w io.Writer, text string, style render.Style) error {
	f, err := parsePsFormat(text)
	if err != nil {
		return err
	}
	var header []string
	for _, i := range f.fields {
		header = append(header, psFields[i].name)
	}
	rows := [][]string{header}
	for _, j := range v.jobs {
		tasks := j.tasks
		if len(tasks) == 0 {
			tasks = []psTaskView{{state: jobstate.State{Word: j.state.Word, Reasons: j.state.Reasons}}}
		}
		for _, t := range tasks {
			row := make([]string, len(f.fields))
			for n, i := range f.fields {
				row[n] = psFields[i].get(v, j, t)
			}
			rows = append(rows, row)
		}
	}
	var b strings.Builder
	if f.table {
		render.Columns(&b, rows, style)
	} else {
		for _, row := range rows[1:] {
			for n, cell := range row {
				b.WriteString(f.text[n] + escape.Text(cell))
			}
			b.WriteString(f.text[len(row)] + "\n")
		}
	}
	_, err = io.WriteString(w, b.String())
	return err
}
