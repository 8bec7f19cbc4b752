package audit

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nomadctld/internal/testenv/smalldisk"
)

// TestLog_FullFileSystem fills a real file system while commands run. Every running command must still get its end
// event.
func TestLog_FullFileSystem(t *testing.T) {
	dir := smalldisk.Mount(t)
	path := filepath.Join(dir, "audit.jsonl")
	log, err := Open(path, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	started := 0
	for i := range 100000 {
		if i == 5 {
			smalldisk.Fill(t, dir)
		}
		e := Event{Kind: Start, Session: fmt.Sprint("c-", i), Line: strings.Repeat("x", 100)}
		if log.RecordStart(e, i%10 == 0, true) != nil {
			break
		}
		started++
	}
	if started < 5 || started == 100000 {
		t.Fatalf("started %d commands", started)
	}
	for i := range 30 {
		if log.RecordStart(Event{Session: fmt.Sprint("d-", i), Line: strings.Repeat("x", 1<<14)}, true, true) == nil {
			t.Error("a command started on a full disk")
		}
	}
	smalldisk.Fill(t, dir)
	for i := range started {
		log.Record(Event{Kind: End, Session: fmt.Sprint("c-", i), Line: strings.Repeat("x", 100)})
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[Kind]int{}
	for _, e := range parseEvents(t, text) {
		kinds[e.Kind]++
	}
	if kinds[Start] != started || kinds[End] != started || len(kinds) != 2 {
		t.Errorf("started %d commands, got %v", started, kinds)
	}
}
