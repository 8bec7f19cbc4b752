package tasklog

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"nomadctld/internal/escape"
)

// JSONLine is the object that is printed for a line with --json.
type JSONLine struct {
	Time       *time.Time `json:"time" doc:"RFC 3339, UTC; null: not known, the line comes from Nomad's files"`
	Job        string     `json:"job" doc:"the job's ID"`
	Allocation string     `json:"allocation" doc:"the ID of the allocation"`
	Name       string     `json:"name" doc:"the group with its index, as in web[1]"`
	Task       string     `json:"task"`
	Stream     string     `json:"stream" doc:"stdout or stderr"`
	Text       string     `json:"text" doc:"the line, without its newline"`
	Partial    bool       `json:"partial" doc:"a line of more than 64 KiB continues in the next object"`
}

// format returns a line as it is printed.
func (t *taskLog) format(l line) ([]byte, error) {
	if t.JSON {
		return t.formatJSON(l)
	}
	var shown []byte
	if l.isStart || t.prefix != "" {
		shown = append(shown, t.prefix...)
		if t.Times && !l.time.IsZero() {
			shown = append(l.time.UTC().AppendFormat(shown, "2006-01-02T15:04:05.000000000Z07:00"), ' ')
		}
	}
	if t.Console.Terminal != nil {
		text := escape.Line(string(l.text), !t.Console.NoColor)
		if t.Highlight != nil && t.Console.Style().Color {
			text = highlight(text, t.Highlight)
		}
		shown = append(shown, text...)
	} else {
		shown = append(shown, l.text...)
	}
	if l.isComplete || t.prefix != "" {
		shown = append(shown, '\n')
	}
	return shown, nil
}

// formatJSON returns a line as a JSON object.
func (t *taskLog) formatJSON(l line) ([]byte, error) {
	object := JSONLine{
		Job: t.task.JobID, Allocation: t.task.ID, Name: t.task.instance(), Task: t.task.Task.Name,
		Stream: "stdout", Text: string(l.text), Partial: !l.isComplete && len(l.text) == maxLogLine,
	}
	if l.stderr {
		object.Stream = "stderr"
	}
	if !l.time.IsZero() {
		at := l.time.UTC()
		object.Time = &at
	}
	text, err := escape.JSON(object, "")
	return append(text, '\n'), err
}

// The matches of --highlight are in reverse video, which keeps the colors of the line.
const startHighlight, stopHighlight = "\x1b[7m", "\x1b[27m"

var colorSequence = regexp.MustCompile("\x1b\\[[0-9;:]*m")

// highlight marks the matches in an escaped line. Color sequences in the line are not part of the text that is
// searched. Inside a match, the mark is repeated after each of them, because they may reset it.
func highlight(text string, pattern *regexp.Regexp) string {
	sequences := colorSequence.FindAllStringIndex(text, -1)
	var plain strings.Builder
	from := 0
	for _, s := range sequences {
		plain.WriteString(text[from:s[0]])
		from = s[1]
	}
	plain.WriteString(text[from:])
	matches := slices.DeleteFunc(pattern.FindAllStringIndex(plain.String(), -1), func(m []int) bool { return m[0] == m[1] })
	if len(matches) == 0 {
		return text
	}
	var b strings.Builder
	marked := false
	for i, at := 0, 0; i < len(text); { // at: position of text[i] in the plain text
		if len(sequences) > 0 && sequences[0][0] == i {
			b.WriteString(text[i:sequences[0][1]])
			i, sequences = sequences[0][1], sequences[1:]
			if marked {
				b.WriteString(startHighlight)
			}
			continue
		}
		if len(matches) > 0 && matches[0][0] == at {
			b.WriteString(startHighlight)
			marked = true
		}
		b.WriteByte(text[i])
		i, at = i+1, at+1
		if marked && matches[0][1] == at {
			b.WriteString(stopHighlight)
			marked, matches = false, matches[1:]
		}
	}
	return b.String()
}
