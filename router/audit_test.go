package router

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/cmdline"
	"nomadctld/internal/ops"
	"nomadctld/internal/testenv/smalldisk"
)

// eventsIn returns the events in a file, which must consist of whole lines.
func eventsIn(t *testing.T, path string) (events []audit.Event) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var e audit.Event
		if err := json.Unmarshal(line, &e); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
			t.Fatalf("%s: not an event: %v in %q", path, err, line)
		}
		events = append(events, e)
	}
	return events
}

func TestAudit_StartBeforeRun(t *testing.T) {
	w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"probe", "act"}})
	w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
	register(t, Spec{Name: "probe", Args: "JOB", Target: TargetJob, TracksProgram: true},
		func(context.Context, *Request) error {
			events := w.allEvents(t)
			if len(events) != 1 {
				t.Fatalf("got %d events before the command ran, want 1", len(events))
			}
			got := events[0]
			if got.Time.IsZero() {
				t.Error("the start event has no time")
			}
			got.Time = time.Time{}
			want := audit.Event{
				Kind: audit.Start, Connection: "c", Session: "c-1", User: "ann", Key: "SHA256:x", Remote: "192.0.2.1:5",
				Line: "probe p-team1-web", Command: []string{"probe", "p-team1-web"},
				Tier: "production", Namespace: "default", Job: "p-team1-web", Program: "c-1.", Decision: audit.Allowed,
			}
			if got, want := asJSON(got), asJSON(want); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			return ProgramExit(7)
		})
	if err := w.run("probe p-team1-web"); ExitCode(err) != 7 {
		t.Fatal(err)
	}
	if e := w.event(t); e.Session != "c-1" || e.ExitCode != 7 || e.Decision != audit.Allowed {
		t.Errorf("got the end event %+v", e)
	}
	for _, refused := range []string{"probe p-team2-web", "probe --nosuch", "nosuch", "probe 'p"} {
		if err := w.run(refused); err == nil {
			t.Errorf("%s: not refused", refused)
		}
		if events := w.allEvents(t); len(events) != 1 || events[0].Kind != audit.End || events[0].Decision == audit.Allowed {
			t.Errorf("%s: got %+v, want one end event", refused, events)
		}
	}
}

func TestNeedsDurableStart(t *testing.T) {
	for set, want := range map[RightSet]bool{Public: false, Read: false, Enter: true, Operate: true, Admin: true} {
		if got := (Spec{RightSet: set}).needsDurableStart(); got != want {
			t.Errorf("%s: got %v, want %v", set, got, want)
		}
	}
}

// TestAudit_FullDisk runs commands on a full disk with audit.required. Each command that ran must have a start
// event, and each start event must be of a command that ran. The last block of the file may have space for a few.
func TestAudit_FullDisk(t *testing.T) {
	dir := smalldisk.Mount(t)
	path := filepath.Join(dir, "audit.jsonl")
	var problems bytes.Buffer
	log, err := audit.Open(path, slog.New(slog.NewJSONHandler(&problems, nil)))
	if err != nil {
		t.Fatal(err)
	}
	w := newTestGateway()
	w.Audit, w.AuditRequired = log, true
	ran := 0
	register(t, Spec{Name: "probe", Args: "[A...]", Target: TargetScope, RunsProgram: true},
		func(context.Context, *Request) error { ran++; return nil })
	line := "probe " + strings.Repeat("x", 700)
	do := func() (refused bool) {
		t.Helper()
		err := w.run(line)
		if err == nil {
			return false
		}
		const want = "nothing was run: the gateway cannot write its audit log; tell the gateway's operator"
		if err.Error() != want || ExitCode(err) != 1 || len(ErrorLines(err)) != 1 {
			t.Errorf("got %q with code %d, want %q with 1", err, ExitCode(err), want)
		}
		return true
	}
	check := func(when string) {
		t.Helper()
		starts, ends := 0, 0
		for _, e := range eventsIn(t, path) {
			switch {
			case e.Kind == audit.Start:
				starts++
			case e.ExitCode == 0:
				ends++
			}
		}
		if starts != ran || ends != ran {
			t.Errorf("%s: %d commands ran, %d start events and %d end events", when, ran, starts, ends)
		}
	}
	if do() {
		t.Fatal("refused on a disk with space")
	}
	smalldisk.Fill(t, dir)
	for range 30 {
		do()
	}
	if ran > 5 {
		t.Errorf("%d commands ran on a full disk, want at most 5", ran)
	}
	check("full")
	if !do() {
		t.Error("a command ran on a full disk")
	}
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	if do() {
		t.Error("refused on a disk that has space again")
	}
	check("with space again")
	if !strings.Contains(problems.String(), `"msg":"audit log cannot be written; command refused"`) {
		t.Errorf("nothing was logged for the operator: %s", problems.String())
	}
}

// TestAudit_FullDiskNotRequired expects all commands to run, and events that are not in the file to be logged as
// JSON.
func TestAudit_FullDiskNotRequired(t *testing.T) {
	dir := smalldisk.Mount(t)
	path := filepath.Join(dir, "audit.jsonl")
	var problems bytes.Buffer
	log, err := audit.Open(path, slog.New(slog.NewJSONHandler(&problems, nil)))
	if err != nil {
		t.Fatal(err)
	}
	w := newTestGateway()
	w.Audit = log
	smalldisk.Fill(t, dir)
	register(t, Spec{Name: "probe", Args: "[A...]", Target: TargetScope},
		func(context.Context, *Request) error { return nil })
	const commands = 20
	for range commands {
		if err := w.run("probe " + strings.Repeat("x", 700)); err != nil {
			t.Fatal(err)
		}
	}
	events := eventsIn(t, path)
	for line := range strings.Lines(problems.String()) {
		var problem struct{ Msg, Event string }
		var e audit.Event
		if err := json.Unmarshal([]byte(line), &problem); err != nil {
			t.Fatal(err)
		}
		if problem.Msg == "audit event lost" {
			if err := json.Unmarshal([]byte(problem.Event), &e); err != nil {
				t.Errorf("not an event: %v in %q", err, problem.Event)
			}
			events = append(events, e)
		}
	}
	if len(events) != 2*commands {
		t.Errorf("got %d events in the file and the log, want %d", len(events), 2*commands)
	}
}

// blockedWriter is a pipe that nobody reads.
type blockedWriter struct{ until chan struct{} }

func (b blockedWriter) Write(p []byte) (int, error) { <-b.until; return len(p), nil }

func TestAudit_StalledReader(t *testing.T) {
	for _, required := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newTestGateway()
			until := make(chan struct{})
			defer close(until)
			var problems bytes.Buffer
			w.Audit, w.AuditRequired = audit.NewLog(blockedWriter{until}), required
			w.Audit.Problems = slog.New(slog.NewTextHandler(&problems, nil))
			ran := 0
			register(t, Spec{Name: "probe", Args: "[A...]", Target: TargetNone},
				func(context.Context, *Request) error { ran++; return nil })
			start := time.Now()
			const commands = 30 // their events are twice as large as the queue
			for range commands {
				if err := w.run("probe " + strings.Repeat("x", 64<<10)); (err != nil) != required ||
					required && ExitCode(err) != 1 {
					t.Fatalf("required %v: got %v", required, err)
				}
			}
			if waited := time.Since(start); waited > 5*time.Second {
				t.Errorf("required %v: %d commands took %v", required, commands, waited)
			}
			if want := map[bool]int{false: commands, true: 0}[required]; ran != want {
				t.Errorf("required %v: %d commands ran, want %d", required, ran, want)
			}
			want := "audit event lost"
			if required {
				want = "command refused"
			}
			if !strings.Contains(problems.String(), want) {
				t.Errorf("required %v: the log does not contain %q", required, want)
			}
		})
	}
}

func TestAudit_ReaderExited(t *testing.T) {
	reader, writer := io.Pipe()
	reader.Close()
	w := newTestGateway()
	w.Audit, w.AuditRequired = audit.NewLog(writer), true
	w.Audit.Problems = slog.New(slog.DiscardHandler)
	register(t, Spec{Name: "probe", Target: TargetNone},
		func(context.Context, *Request) error { t.Error("the command ran"); return nil })
	if err := w.run("probe"); !errors.Is(err, io.ErrClosedPipe) || ExitCode(err) != 1 {
		t.Errorf("got %v", err)
	}
}

func TestAudit_OperationStartBeforeRun(t *testing.T) {
	w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"act"}})
	w.Gateway.Writers = map[string]backends.ClusterWriter{"production": &fakeWriter{}}
	w.Ops, _ = ops.Open("")
	w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
	run := false
	before := commandTable
	defer func() { commandTable = before }()
	commandTable = map[string]func() Command{}
	act := func(ctx context.Context, req *Request) error {
		w.allEvents(t)
		_, err := req.Access.Operations.Start(ctx, func(context.Context, ops.Operation) error {
			run = true
			if events := w.allEvents(t); len(events) != 1 || events[0].Kind != audit.Start || events[0].Operation == "" {
				t.Errorf("got %+v, want the operation's start event", events)
			}
			return nil
		})
		if err == nil {
			w.Ops.Wait(ctx)
		}
		return err
	}
	Register(func() Command {
		return probe{Spec{Name: "act", Args: "JOB", Target: TargetJob, RightSet: Operate}, act}
	})
	if err := w.run("act p-team1-web"); err != nil || !run {
		t.Fatal(err, run)
	}
	w.allEvents(t)
	// Only the command's own start event can be written, not that of the operation.
	w.Audit, w.AuditRequired, run = audit.NewLog(&limitedWriter{left: 1}), true, false
	w.Audit.Problems = slog.New(slog.DiscardHandler)
	err := w.run("act p-team1-web")
	if err == nil || run || ExitCode(err) != 1 {
		t.Errorf("without a start event: ran %v, %v", run, err)
	}
}

// hookedWriter calls a function before each write.
type hookedWriter struct {
	io.Writer
	before func(line []byte)
}

func (h hookedWriter) Write(p []byte) (int, error) { h.before(p); return h.Writer.Write(p) }

func TestAudit_OperationAbandoned(t *testing.T) {
	w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"act"}})
	w.Gateway.Writers = map[string]backends.ClusterWriter{"production": &fakeWriter{}}
	w.Ops, _ = ops.Open("")
	w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
	w.Audit = audit.NewLog(hookedWriter{&w.events, func(line []byte) {
		if bytes.Contains(line, []byte(`"event":"start"`)) {
			for _, o := range w.Ops.Ops() { // the gateway shuts down while the operation's start event is written
				o.Finish(ops.ErrAbandoned)
			}
		}
	}})
	before := commandTable
	defer func() { commandTable = before }()
	commandTable = map[string]func() Command{}
	act := func(ctx context.Context, req *Request) error {
		_, err := req.Access.Operations.Start(ctx, func(context.Context, ops.Operation) error {
			t.Error("the operation ran")
			return nil
		})
		return err
	}
	Register(func() Command {
		return probe{Spec{Name: "act", Args: "JOB", Target: TargetJob, RightSet: Operate}, act}
	})
	if err := w.run("act p-team1-web"); !errors.Is(err, ops.ErrAbandoned) {
		t.Errorf("got %v, want %v", err, ops.ErrAbandoned)
	}
	var got []string
	for _, e := range w.allEvents(t) {
		got = append(got, fmt.Sprint(e.Kind, " ", e.Operation != ""))
	}
	if want := "[start false start true end true end true]"; fmt.Sprint(got) != want {
		t.Errorf("got the events %v, want %s", got, want)
	}
}

func TestSavedDefinitions_RedactCommand(t *testing.T) {
	w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"act"}})
	w.Gateway.Writers = map[string]backends.ClusterWriter{"production": &fakeWriter{}}
	w.Ops, _ = ops.Open(t.TempDir(), ops.Key{1})
	w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
	before := commandTable
	defer func() { commandTable = before }()
	commandTable = map[string]func() Command{}
	Register(func() Command {
		return probe{Spec{Name: "act", Args: "JOB", Target: TargetJob, RightSet: Operate, Flags: func(f *pflag.FlagSet) {
			f.StringP("meta", "m", "", "")
			MarkSecret(f, "meta")
		}}, func(_ context.Context, req *Request) error {
			_, err := req.Access.Operations.Saved().Save(ops.Stopped, []byte(`{"ID":"p-team1-web","Namespace":"default"}`), 1, 1)
			return err
		}}
	})
	if err := w.run("act -m K=hunter2 p-team1-web"); err != nil {
		t.Fatal(err)
	}
	if saved := w.Ops.ListSaved(ops.Stopped); len(saved) != 1 || saved[0].Command != "act -m K=*** p-team1-web" {
		t.Errorf("got %+v", saved)
	}
}

// limitedWriter accepts a limited number of lines.
type limitedWriter struct{ left int }

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func TestRedactLine(t *testing.T) {
	spec := func(name string, program bool) Spec {
		return Spec{Name: name, Args: "JOB [A...]", Target: TargetJob, RunsProgram: program, Flags: func(f *pflag.FlagSet) {
			f.StringArrayP("env", "e", nil, "")
			f.StringP("user", "u", "", "")
			f.BoolP("quick", "q", false, "")
			MarkSecret(f, "env")
		}}
	}
	nothing := func(context.Context, *Request) error { return nil }
	register(t, spec("enter", true), nothing)
	register(t, spec("launch", false), nothing)
	register(t, Spec{Name: "raw", Args: "TIER ARG...", Target: TargetScope, Redact: RedactRaw}, nothing)
	aliases := map[string]string{"en": "enter -e FIXED=hunter1", "enter": "launch"}
	for _, tc := range []struct{ line, want, command string }{
		{"enter -e K=hunter2 web env", "enter -e K=*** web env", ""},
		{"enter -eK=hunter2 web env", "enter -eK=*** web env", ""},
		{"enter -e=K=hunter2 web", "enter -e=K=*** web", ""},
		{"enter --env K=hunter2 web", "enter --env K=*** web", ""},
		{"enter --env=K=hunter2 web", "enter --env=K=*** web", ""},
		{"enter -qe K=hunter2 web", "enter -qe K=*** web", ""},
		{"enter -qeK=hunter2 web", "enter -qeK=*** web", ""},
		{"enter -xe K=hunter2 web", "enter -xe K=*** web", ""},
		{"enter -e hunter2 web", "enter -e *** web", ""},
		{"enter -e =hunter2 web", "enter -e *** web", ""},
		{"enter -e K= web", "enter -e K=*** web", ""},
		{"enter -e A=hunter2 -u me -e B=hunter2 web", "enter -e A=*** -u me -e B=*** web", ""},
		{"enter -u -e web K=hunter2", "enter -u -e web K=hunter2", ""}, // the user's name is -e
		{`enter  -e 'K=hunter2 "and" more'   web  'a  b'`, `enter  -e K=***   web  'a  b'`, ""},
		{`enter -e "K D=hunter2" web`, `enter -e 'K D=***' web`, ""},
		{`enter -e K=hunt\ er2 web`, `enter -e K=*** web`, ""},
		{"enter web -e K=hunter2 env", "enter web -e K=*** env", ""},             // refused, but still a secret
		{"enter web sh -e K=visible", "enter web sh -e K=visible", ""},           // belongs to the program
		{"enter web -- -e K=visible", "enter web -- -e K=visible", ""},           // as above
		{"enter web -c 'x -e K=visible'", "enter web -c 'x -e K=visible'", ""},   // as above
		{"enter -q web curl -H K=visible", "enter -q web curl -H K=visible", ""}, // as above
		{"launch web -e K=hunter2", "launch web -e K=***", ""},
		{"launch web -- -e K=visible", "launch web -- -e K=visible", ""},
		{"launch -e K=hunter2 'web", "launch -e K=*** 'web", ""}, // cannot be split
		{"launch -e 'K=hunter2 web", "launch -e K=***", ""},
		{"launch -e K=hunter2\x00 web\xff", "launch -e K=*** web\xff", ""},
		{"en -e K=hunter2 web", "en -e K=*** web", "enter -e FIXED=*** -e K=*** web"},
		{"enter web -it -e K=hunter2 env", "enter web -it -e K=*** env", ""},             // refused too
		{"enter web --tty --env=K=hunter2 env", "enter web --tty --env=K=*** env", ""},   // as above
		{"enter web -c -e 'K=visible'", "enter web -c -e 'K=visible'", ""},               // a shell command
		{"enter web -it -- x -e K=visible", "enter web -it -- x -e K=visible", ""},       // belongs to the program
		{"entr -e K=hunter2 web env", "entr -e K=*** web env", ""},                       // unknown command
		{"entr -e K=hunter2 web x -H a=visible", "entr -e K=*** web x -H a=visible", ""}, // as above
		{"rwa prod var put path k=hunter2", "rwa prod var put path k=***", ""},           // as above
		{"rwa prod job status -token hunter2", "rwa prod job status -toke*** ***", ""},   // as above
		{"", "", ""},
		{"  ", "  ", ""},
	} {
		got := redactLine(tc.line, aliases)
		if got.line != tc.want {
			t.Errorf("%s\n got %s\nwant %s", tc.line, got.line, tc.want)
		}
		if tc.command != "" && strings.Join(got.words, " ") != tc.command {
			t.Errorf("%s\n got %s\nwant %s", tc.line, got.words, tc.command)
		}
		if strings.Contains(strings.Join(got.words, " "), "hunter") && !strings.Contains(tc.want, "hunter") {
			t.Errorf("%s\n got the command %q", tc.line, got.words)
		}
	}
	long := "launch -e K=hunter2 " + strings.Repeat("'x  y' ", 10000) + "EVIL"
	if got, want := redactLine(long, nil).line, strings.Replace(long, "hunter2", redactedValue, 1); got != want {
		t.Errorf("a long line: got %d bytes, want %d", len(got), len(want))
	}
}

func FuzzRedactLine(f *testing.F) {
	for _, seed := range []string{
		"fuzzed -e K=v x", "fuzzed '-eK=v", "other -m a=b", "raw x var put p k=v",
		"fuzzed --env", "\\",
	} {
		f.Add(seed)
	}
	before := maps.Clone(commandTable)
	f.Cleanup(func() { commandTable = before })
	run := func(context.Context, *Request) error { return nil }
	Register(func() Command {
		spec := Spec{Name: "fuzzed", Target: TargetScope, RightSet: Read, RunsProgram: true}
		spec.Flags = func(f *pflag.FlagSet) {
			f.StringArrayP("env", "e", nil, "")
			MarkSecret(f, "env")
		}
		return probe{spec, run}
	})
	Register(func() Command {
		return probe{Spec{Name: "raw", Target: TargetScope, RightSet: Admin, Redact: RedactRaw}, run}
	})
	f.Fuzz(func(t *testing.T, line string) {
		got := redactLine(line, map[string]string{"other": "fuzzed"})
		if !strings.Contains(line, "=") && !strings.Contains(line, "-") && got.line != line {
			t.Errorf("got %q, want %q", got.line, line)
		}
		if words, err := cmdline.Split(line); err == nil && len(words) > 0 && words[0] != "other" &&
			len(got.words) != len(words) {
			t.Errorf("got %d words of %d", len(got.words), len(words))
		}
	})
}

func TestAudit_RedactsErrors(t *testing.T) {
	w := newTestGateway()
	register(t, Spec{Name: "probe", Args: "[A]", Target: TargetNone, Flags: func(f *pflag.FlagSet) {
		f.StringArrayP("env", "e", nil, "")
		MarkSecret(f, "env")
	}}, func(_ context.Context, req *Request) error {
		return fmt.Errorf("%s: no: %q, %s", req.Words[2], req.Words[2], strings.TrimPrefix(req.Words[2], "K="))
	})
	for line, want := range map[string]string{
		"probe -e K=hunter2":      `K=***: no: "K=***", ***`,
		`probe -e 'K="hunter2"'`:  `K=***: no: "K=***", ***`,
		"probe -e hunter2":        `***: no: "***", ***`,
		"probe -e K=1":            `K=***: no: "K=***", 1`, // too short to be redacted everywhere
		"probe -xe K=hunter2 web": `unknown shorthand flag: 'x' in -xe`,
		"probe -xeK=hunter2 web":  `unknown shorthand flag: 'x' in -xeK=***`,
	} {
		if err := w.run(line); err == nil {
			t.Errorf("%s: no error", line)
		}
		if e := w.event(t); !strings.Contains(e.Error, want) {
			t.Errorf("%s: got %q, want %q", line, e.Error, want)
		}
	}
}

func TestRedactRaw(t *testing.T) {
	for line, want := range map[string]string{
		"raw prod var put path k=hunter2 n=hunter2":         "raw prod var put path k=*** n=***",
		"raw prod var put -force -out json path k=hunter2":  "raw prod var put -force -out json path k=***",
		"raw prod var put path -- k=hunter2":                "raw prod var put path -- k=***",
		"raw prod var put k=hunter2":                        "raw prod var put k=***",
		"raw prod var put k=hunter/2 n=hunter2":             "raw prod var put k=*** n=***",
		"raw prod var put a/k=b n=hunter2":                  "raw prod var put a/k=b n=***",
		"raw prod job dispatch -meta k=hunter2 web":         "raw prod job dispatch -meta k=*** web",
		"raw prod job dispatch -meta=k=hunter2 web":         "raw prod job dispatch -meta=k=*** web",
		"raw prod job dispatch --meta k=hunter2 web":        "raw prod job dispatch --meta k=*** web",
		"raw prod status -token hunter2":                    "raw prod status -token ***",
		"raw prod status --token=hunter2":                   "raw prod status --token=***",
		"raw prod -token hunter2 status":                    "raw prod -token *** status",
		"raw prod volume delete -secret k=hunter2 x":        "raw prod volume delete -secret k=*** x",
		"raw prod job run -var k=hunter2 x.nomad":           "raw prod job run -var k=*** x.nomad",
		"raw prod operator api -H 'X-Nomad-Token: hunter2'": "raw prod operator api -H ***",
		"raw prod alloc exec -task web id sh -c k=visible":  "raw prod alloc exec -task web id sh -c k=visible",
		"raw prod alloc exec id tool -var k=visible":        "raw prod alloc exec id tool -var k=visible",
		"raw prod alloc exec id tool -token hunter2":        "raw prod alloc exec id tool -token ***",
		"raw prod alloc exec id -- tool -token visible":     "raw prod alloc exec id -- tool -token visible",
		"raw prod job status -namespace n web":              "raw prod job status -namespace n web",
		"raw prod var get path":                             "raw prod var get path",
		"raw prod":                                          "raw prod",
		"raw":                                               "raw",
	} {
		words, err := cmdline.Split(line)
		if err != nil {
			t.Fatal(err)
		}
		spec := Spec{
			Name: "raw", Args: "TIER ARG...", Target: TargetScope, RightSet: Admin, RunsProgram: true, Redact: RedactRaw,
		}
		if got := spec.redactWords(words); strings.Join(got, " ") != want {
			t.Errorf("%s\n got %s\nwant %s", line, strings.Join(got, " "), want)
		}
		if before, _ := cmdline.Split(line); !slices.Equal(before, words) {
			t.Errorf("%s: redact changed its input", line)
		}
	}
}
