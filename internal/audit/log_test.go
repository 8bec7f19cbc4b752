package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func openLog(t *testing.T, path string) *Log {
	t.Helper()
	log, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// parseEvents returns the events in text, which must be complete lines.
func parseEvents(t *testing.T, text []byte) (events []Event) {
	t.Helper()
	for line := range bytes.Lines(text) {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
			t.Fatalf("not an event: %q: %v", line, err)
		}
		events = append(events, e)
	}
	return events
}

func TestLog_RotatedByMoving(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log := openLog(t, path)
	for range 2 {
		log.Record(Event{Kind: End, User: "ann"})
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
	}
	log.Record(Event{Kind: End, User: "ann"})
	for _, name := range []string{path, path + ".1"} {
		text, err := os.ReadFile(name)
		if err != nil || bytes.Count(text, []byte("\n")) != 1 {
			t.Errorf("%s: got %q, %v, want one line", name, text, err)
		}
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v", info.Mode())
	}
}

func TestOpen_RefusesNonRegularFiles(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link, fifo := filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	if err := errors.Join(os.Symlink(target, link), syscall.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		link:                              "a symbolic link",
		fifo:                              "a FIFO",
		dir:                               "a directory",
		"/dev/null":                       "a device",
		filepath.Join(dir, "no", "where"): "no such file or directory",
	} {
		if _, err := Open(path, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	// The file may be replaced later.
	log := openLog(t, target)
	if err := errors.Join(os.Remove(target), os.Symlink(filepath.Join(dir, "other"), target)); err != nil {
		t.Fatal(err)
	}
	if err := log.RecordStart(Event{}, false, true); err == nil || !strings.Contains(err.Error(), "a symbolic link") {
		t.Errorf("file replaced by a link: got %v", err)
	}
}

func TestEvent_CommandLineIsWhole(t *testing.T) {
	var out bytes.Buffer
	log := NewLog(&out)
	line := strings.Repeat("x", maxLine-4) + "EVIL"
	words := strings.Fields(strings.Repeat("word ", 20000) + "EVIL")
	log.Record(Event{Kind: End, Line: line, Command: words, Error: strings.Repeat("\x00", 1<<20), User: line})
	got := parseEvents(t, out.Bytes())[0]
	if got.Line != line || len(got.Command) != len(words) || got.Command[len(words)-1] != "EVIL" {
		t.Errorf("got a line of %d bytes and %d words, want %d and %d", len(got.Line), len(got.Command), len(line),
			len(words))
	}
	if len(got.User) > maxUser+100 {
		t.Errorf("got a user of %d bytes, want it truncated", len(got.User))
	}
	if len(got.Error) > maxError+100 || !strings.HasSuffix(got.Error, "... (1048576 bytes)") {
		t.Errorf("got an error of %d bytes, want it truncated", len(got.Error))
	}
}

func TestEvent_FieldsOfItsKind(t *testing.T) {
	full := Event{
		Connection: "c", Session: "c-1", User: "ann", Key: "k", Remote: "r", Line: "ps", Command: []string{"ps"},
		Decision: Allowed,
	}
	connection := Event{Connection: "c", User: "ann", Key: "k", Remote: "r"}
	const command = `"session":"c-1","user":"ann","key":"k","remote":"r"`
	for kind, want := range map[Kind]string{
		End:          command + `,"line":"ps","command":["ps"],"decision":"allowed","exit_code":0,"duration_seconds":0}`,
		Start:        command + `,"line":"ps","command":["ps"],"decision":"allowed"}`,
		Login:        `"user":"ann","key":"k","remote":"r"}`,
		LoginRefused: `"user":"ann","key":"k","remote":"r"}`,
		Disconnect:   `"user":"ann","key":"k","remote":"r"}`,
		Killed:       command + `,"decision":"allowed","line":"ps","command":["ps"]}`,
	} {
		e := full
		if strings.HasPrefix(string(kind), "login") || kind == Disconnect {
			e = connection
		}
		e.Kind = kind
		line, err := e.encode()
		want = `{"event":"` + string(kind) + `","time":"0001-01-01T00:00:00Z","connection":"c",` + want + "\n"
		if err != nil || string(line) != want {
			t.Errorf("got  %s%v\nwant %s", line, err, want)
		}
	}
}

// fakeDisk is a file on a disk with limited space.
type fakeDisk struct {
	content   []byte
	left      int
	truncates bool // false: the file is append-only
	syncs     int
	syncErr   error
}

func (d *fakeDisk) open() (handle, error) { return d, nil }
func (d *fakeDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.left)
	d.left -= n
	d.content = append(d.content, p[:n]...)
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (d *fakeDisk) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(d.content).ReadAt(p, at)
}

func (d *fakeDisk) Truncate(size int64) error {
	if !d.truncates {
		return syscall.EPERM
	}
	d.left += len(d.content) - int(size)
	d.content = d.content[:size]
	return nil
}
func (d *fakeDisk) Sync() error                { d.syncs++; return d.syncErr }
func (d *fakeDisk) Close() error               { return nil }
func (d *fakeDisk) Stat() (os.FileInfo, error) { return fakeInfo{size: int64(len(d.content))}, nil }

type fakeInfo struct {
	os.FileInfo
	size int64
}

func (i fakeInfo) Size() int64 { return i.size }

func newDiskLog(d *fakeDisk, problems io.Writer) *Log {
	l := &Log{Problems: slog.New(slog.NewJSONHandler(problems, nil))}
	l.file = &file{open: d.open, onPartialLine: l.reportPartialLine}
	return l
}

// TestLog_FullAtEveryOffset fills the disk at each byte of an event. The file must contain the complete event or
// nothing of it, and the result of RecordStart must show which.
func TestLog_FullAtEveryOffset(t *testing.T) {
	first := Event{Kind: Start, Session: "c-1", User: "ann"}
	line, _ := limitFields(first).encode()
	for _, truncates := range []bool{true, false} {
		for left := range len(line) + 2 {
			d := &fakeDisk{left: left, truncates: truncates}
			log := newDiskLog(d, io.Discard)
			err := log.RecordStart(first, true, true)
			if fits := left >= len(line); (err == nil) != fits {
				t.Fatalf("%d bytes left: RecordStart returned %v", left, err)
			}
			if err != nil && d.syncs > 0 {
				t.Errorf("%d bytes left: synced without a write", left)
			}
			d.left = 1000 // an operator frees space
			log.Record(Event{Kind: End, Session: "c-2", User: "bob"})
			if truncates {
				events := parseEvents(t, d.content)
				if last := events[len(events)-1]; len(events) != map[bool]int{true: 2, false: 1}[err == nil] ||
					last.User != "bob" {
					t.Errorf("%d bytes left: got %s", left, d.content)
				}
				continue
			}
			lines := strings.Split(strings.TrimSuffix(string(d.content), "\n"), "\n")
			if e := parseEvents(t, []byte(lines[len(lines)-1]+"\n"))[0]; e.User != "bob" {
				t.Errorf("%d bytes left, append-only: got %q", left, lines)
			}
		}
	}
}

func TestRecordStart_SyncsIfDurable(t *testing.T) {
	d := &fakeDisk{left: 1 << 20, truncates: true}
	log := newDiskLog(d, io.Discard)
	if err := log.RecordStart(Event{Session: "c-1"}, false, true); err != nil || d.syncs != 0 {
		t.Errorf("not durable: %v, %d syncs", err, d.syncs)
	}
	if err := log.RecordStart(Event{Session: "c-2"}, true, true); err != nil || d.syncs != 1 {
		t.Errorf("durable: %v, %d syncs", err, d.syncs)
	}
	d.syncErr = syscall.EIO
	if err := log.RecordStart(Event{Session: "c-3"}, true, true); !errors.Is(err, syscall.EIO) {
		t.Errorf("failed sync: got %v", err)
	}
}

func TestLog_LostEventIsReportedAsJSON(t *testing.T) {
	var problems bytes.Buffer
	d := &fakeDisk{truncates: true}
	log := newDiskLog(d, &problems)
	want := Event{Kind: End, Session: "c-1", Line: "exec x '<a>'", Command: []string{"exec", "x", "<a>"}, ExitCode: 3}
	log.Record(want)
	var report struct {
		Msg   string
		Event string
	}
	if err := json.Unmarshal(problems.Bytes(), &report); err != nil || report.Msg != "audit event lost" {
		t.Fatalf("got %s, %v", problems.Bytes(), err)
	}
	if got := parseEvents(t, []byte(report.Event+"\n"))[0]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	d.left = 1000
	problems.Reset()
	log.Record(want)
	if !strings.Contains(problems.String(), `"events_not_written":1`) {
		t.Errorf("got %s, want the number of lost events", problems.String())
	}
}

func TestLog_ShortEndEventOnFullDisk(t *testing.T) {
	var problems bytes.Buffer
	d := &fakeDisk{truncates: true, left: 10000}
	log := newDiskLog(d, &problems)
	end := Event{
		Kind: End, Session: "c-1", Line: strings.Repeat("x", 2000), Decision: Allowed, Error: "no",
		ExitCode: 7,
	}
	if err := log.RecordStart(end, false, true); err != nil {
		t.Fatal(err)
	}
	d.content, d.left = nil, 1000
	refused := end
	refused.Session = "c-2" // there is no start event, so only this event has the command line
	log.Record(refused)
	if len(d.content) > 0 || !strings.Contains(problems.String(), `"msg":"audit event lost","session":"c-2"`) {
		t.Errorf("without a start event: got %q and the problems %s", d.content, problems.String())
	}
	problems.Reset()
	log.Record(end)
	if got := parseEvents(t, d.content); len(got) != 1 || got[0].Session != "c-1" || got[0].ExitCode != 7 ||
		got[0].Line != "" || got[0].Error != "no" {
		t.Errorf("got %s", d.content)
	}
	if !strings.Contains(problems.String(), end.Line) {
		t.Error("the complete event was not reported")
	}
	long := end
	long.Line, long.Error, long.Evaluations = "", strings.Repeat("\x00", 1<<20), make([]string, 100000)
	for i := range long.Evaluations {
		long.Evaluations[i] = "4f0a9a0c-8c6d-4f4b-9f33-b0d4b4d1f1a7"
	}
	if line, err := limitFields(long).encodeShort(); err != nil || len(line) > spaceForEnd {
		t.Errorf("the short event has %d bytes, %v, want at most %d", len(line), err, spaceForEnd)
	}
}

func TestLog_LostEventReservesNothing(t *testing.T) {
	d := &fakeDisk{truncates: true, left: 10000}
	log := newDiskLog(d, io.Discard)
	recordStart(t, log, Event{Session: "c-1"})
	recordStart(t, log, Event{Session: "c-2"})
	d.left = 0
	log.Record(Event{Kind: End, Session: "c-1"})
	log.Record(Event{Kind: Disconnect, Session: "c-2"})
	if log.file.total != 1 || log.file.running["c-2"] != 1 {
		t.Errorf("lost end event: space is reserved for %d: %v", log.file.total, log.file.running)
	}
	d.left, d.syncErr = 10000, syscall.EIO
	if err := log.RecordStart(Event{Session: "c-3"}, true, true); err == nil {
		t.Error("failed sync: got no error")
	}
	if log.file.total != 1 || log.file.running["c-2"] != 1 {
		t.Errorf("failed sync: space is reserved for %d: %v", log.file.total, log.file.running)
	}
	log.Record(Event{Kind: End, Session: "c-2"})
	if log.file.total != 0 || len(log.file.running) > 0 {
		t.Errorf("at the end: space is reserved for %d: %v", log.file.total, log.file.running)
	}
}

// stalledWriter is a stream whose reader does not read, and exits later.
type stalledWriter struct{ exited chan struct{} }

func (s stalledWriter) Write([]byte) (int, error) { <-s.exited; return 0, io.ErrClosedPipe }

func TestLog_ReaderStallsAndExits(t *testing.T) {
	for _, exits := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			out := stalledWriter{make(chan struct{})}
			log := NewLog(out)
			var problems bytes.Buffer
			log.Problems = slog.New(slog.NewTextHandler(&problems, nil))
			const events = 5
			for i := range events {
				if err := log.RecordStart(Event{Session: fmt.Sprint("c-", i)}, false, false); err != nil {
					t.Fatal(err)
				}
				log.Record(Event{Kind: End, Session: fmt.Sprint("c-", i)})
			}
			if strings.Contains(problems.String(), "lost") {
				t.Errorf("reported while they can still be written: %s", problems.String())
			}
			if exits {
				close(out.exited)
			}
			log.Close(time.Second)
			if !exits {
				close(out.exited)
			}
			synctest.Wait()
			for i := range events {
				if got := strings.Count(problems.String(), fmt.Sprintf(`msg="audit event lost" session=c-%d `,
					i)); got != 2 {
					t.Errorf("reader exits %v: %d events of session %d were reported, want 2:\n%s", exits, got, i,
						problems.String())
				}
			}
		})
	}
}

func TestOpen_RemovesPartialLine(t *testing.T) {
	whole := `{"event":"login","user":"ann"}` + "\n"
	for name, c := range map[string]struct{ before, after string }{
		"empty":      {"", ""},
		"whole":      {whole, whole},
		"half":       {whole + `{"event":"en`, whole},
		"alone":      {`{"event":"en`, ""},
		"very long":  {whole + strings.Repeat("x", 200<<10), whole},
		"at a chunk": {whole + strings.Repeat("x", 64<<10), whole},
	} {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
			t.Fatal(err)
		}
		var problems bytes.Buffer
		if _, err := Open(path, slog.New(slog.NewTextHandler(&problems, nil))); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(path)
		if err != nil || string(after) != c.after {
			t.Errorf("%s: got %.200q, %v", name, after, err)
		}
		if reported := problems.Len() > 0; reported != (c.before != c.after) {
			t.Errorf("%s: the problems are %.200q", name, problems.String())
		}
	}
}

// startEvent is the start event of a session that runs a program.
func startEvent(session string) Event {
	return Event{
		Time: time.Now().UTC(), Session: session, Program: session + ".", Tier: "production", Job: "p-web",
		Allocation: "a", Task: "web",
		Line: `exec x '"session":"c-4"'`,
	}
}

func recordStart(t *testing.T, log *Log, e Event) {
	t.Helper()
	if err := log.RecordStart(e, true, true); err != nil {
		t.Fatal(err)
	}
}

// orphanSessions returns the sessions of the orphans, and releases them.
func orphanSessions(t *testing.T, orphans Orphans) string {
	t.Helper()
	defer orphans.Release()
	events, err := orphans.Events()
	if err != nil {
		t.Fatal(err)
	}
	var sessions []string
	for _, e := range events {
		if e.Program != e.Session+"." || e.Job != "p-web" {
			t.Errorf("got %+v", e)
		}
		sessions = append(sessions, e.Session)
	}
	return strings.Join(sessions, " ")
}

func findOrphans(t *testing.T, log *Log) Orphans {
	t.Helper()
	orphans, err := log.FindOrphans()
	if err != nil {
		t.Fatal(err)
	}
	return orphans
}

func TestFindOrphans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log := openLog(t, path)
	finish := func(kind Kind, session string) {
		e := startEvent(session)
		e.Kind = kind
		log.Record(e)
	}
	recordStart(t, log, startEvent("c-1"))
	recordStart(t, log, startEvent("c-2"))
	finish(End, "c-1")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	recordStart(t, log, startEvent("c-3"))
	recordStart(t, log, startEvent("c-4"))
	recordStart(t, log, startEvent("c-5"))
	recordStart(t, log, startEvent("c-6"))
	finish(Killed, "c-5")
	finish(Exited, "c-6")
	recordStart(t, log, Event{Session: "c-7", Line: "ps"})
	if got := orphanSessions(t, findOrphans(t, log)); got != "c-2 c-3 c-4" {
		t.Errorf("got %q, want c-2 c-3 c-4", got)
	}
	finish(End, "c-3")
	orphans := findOrphans(t, log)
	recordStart(t, log, startEvent("c-8")) // of this gateway
	if got := orphanSessions(t, orphans); got != "c-2 c-4" {
		t.Errorf("got %q, want c-2 c-4", got)
	}
}

func TestFindOrphans_AnotherGateway(t *testing.T) {
	log := openLog(t, filepath.Join(t.TempDir(), "audit.jsonl"))
	first := findOrphans(t, log)
	second, err := log.FindOrphans()
	if !errors.Is(err, ErrInUse) {
		t.Errorf("first gateway running: got %v, want ErrInUse", err)
	}
	recordStart(t, log, startEvent("c-1")) // of the second gateway
	first.Release()
	third, err := log.FindOrphans()
	if !errors.Is(err, ErrInUse) {
		t.Errorf("second gateway running: got %v, want ErrInUse", err)
	}
	if got := orphanSessions(t, third); got != "" {
		t.Errorf("got %q, which the second gateway runs", got)
	}
	second.Release()
	if got := orphanSessions(t, findOrphans(t, log)); got != "c-1" {
		t.Errorf("all gateways stopped: got %q, want c-1", got)
	}
}

func TestFindOrphans_UntrustedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log := openLog(t, path)
	recordStart(t, log, startEvent("c-1"))
	if err := os.WriteFile(path+".1", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".1"} {
		if err := os.Chmod(name, 0o620); err != nil {
			t.Fatal(err)
		}
		orphans, err := log.FindOrphans()
		if err == nil || !strings.Contains(err.Error(), name+" is not trusted: it is writable by other users (mode 0620)") {
			t.Errorf("%s: got %v", name, err)
		}
		if got := orphanSessions(t, orphans); got != "" {
			t.Errorf("%s: got %q", name, got)
		}
		if err := os.Chmod(name, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if got := orphanSessions(t, findOrphans(t, log)); got != "c-1" {
		t.Errorf("got %q, want c-1", got)
	}
}

func TestFindOrphans_IncompleteEvents(t *testing.T) {
	log := openLog(t, filepath.Join(t.TempDir(), "audit.jsonl"))
	for i, change := range []func(*Event){
		func(e *Event) { e.Tier = "" },
		func(e *Event) { e.Job = "" },
		func(e *Event) { e.Allocation = "" },
		func(e *Event) { e.Task = "" },
		func(e *Event) { e.Program = "c" },
		func(e *Event) { e.Session, e.Program = "", "." },
	} {
		e := startEvent(fmt.Sprint("c-", i))
		change(&e)
		recordStart(t, log, e)
	}
	if got := orphanSessions(t, findOrphans(t, log)); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestScan_SkipsPartialLines(t *testing.T) {
	line := func(session string) string {
		e := startEvent(session)
		e.Kind = Start
		text, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	long := strings.Repeat("x", 2*maxScanLine) + line("c-9")
	for name, c := range map[string]struct {
		text, want string
		inLine     bool
	}{
		"whole":             {line("c-1") + line("c-2"), "2", false},
		"in the first":      {line("c-1") + line("c-2"), "1", true},
		"a long line":       {line("c-1") + long + line("c-2"), "2", false},
		"in a long line":    {long + line("c-2"), "1", true},
		"an unfinished one": {line("c-1") + strings.TrimSuffix(line("c-2"), "\n"), "1", false},
	} {
		open := map[string]Event{}
		if err := scan(strings.NewReader(c.text), c.inLine, open); err != nil || fmt.Sprint(len(open)) != c.want ||
			open["c-9"].Session != "" {
			t.Errorf("%s: got %d events, %v, want %s", name, len(open), err, c.want)
		}
	}
}
