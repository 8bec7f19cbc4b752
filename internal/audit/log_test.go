package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileCanBeRotatedByMovingIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := log.Write(Event{User: "ann"}); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file, file+".1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Write(Event{User: "ann"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, file + ".1"} {
		b, err := os.ReadFile(name)
		if err != nil || strings.Count(string(b), "\n") != 1 {
			t.Errorf("%s: got %q, %v, want one line", name, b, err)
		}
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", info.Mode())
	}
}

func TestAFileThatCannotBeWrittenIsAnError(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "no", "such", "folder")); err == nil {
		t.Error("got none")
	}
}

func TestHugeTextsAreCut(t *testing.T) {
	var out bytes.Buffer
	words := strings.Fields(strings.Repeat("word ", 100000))
	err := NewLog(&out).Write(Event{Line: strings.Repeat("ü", 1<<20), Command: words, Error: strings.Repeat("\x00", 1<<20)})
	if err != nil || out.Len() > 16*maxText {
		t.Errorf("got %d bytes, %v", out.Len(), err)
	}
	var e Event
	if err := json.Unmarshal(out.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(e.Line, "... (2097152 bytes)") || !strings.HasSuffix(e.Command[len(e.Command)-1], "words)") {
		t.Errorf("the cuts do not show: %.20q, %q", e.Line[len(e.Line)-20:], e.Command[len(e.Command)-1])
	}
}

// full is a disk that takes so many bytes.
type full struct {
	bytes.Buffer
	left int
}

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	f.left -= n
	f.Buffer.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func TestATornLineSpoilsNoOther(t *testing.T) {
	disk := &full{left: 100}
	log := NewLog(disk)
	if log.Write(Event{User: "ann"}) == nil {
		t.Error("a full disk goes unnoticed")
	}
	if log.Ready() == nil {
		t.Error("ready on a full disk")
	}
	disk.left = 10000
	if err := log.Ready(); err != nil {
		t.Errorf("not ready with space again: %v", err)
	}
	if err := log.Write(Event{User: "bob"}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(disk.String()), "\n")
	var e Event
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &e); err != nil || e.User != "bob" {
		t.Errorf("got %q, %v", lines, err)
	}
}
