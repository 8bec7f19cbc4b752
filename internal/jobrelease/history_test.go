package jobrelease

import (
	"strings"
	"testing"

	"nomadctld/backends"
)

// historyOf returns the history of a service with these versions, newest first.
func historyOf(versions ...backends.Version) History {
	h := History{Now: versions[0], Versions: versions}
	h.Job.ID, h.Job.Type, h.Job.Version, h.Job.Stopped = "web", "service", versions[0].Number, versions[0].Stopped
	h.Now = LastRun(versions[0], versions)
	return h
}

// checkVersion compares a version to revert to, or the start of the error, with the wanted one.
func checkVersion(
	t *testing.T, then backends.Version, onlySaved bool, err error, want uint64, wantSaved bool, wantErr string,
) {
	t.Helper()
	if (err == nil) != (wantErr == "") || err != nil && !strings.HasPrefix(err.Error(), wantErr) ||
		err == nil && (then.Number != want || onlySaved != wantSaved) {
		t.Errorf("got version %d, %v, %v, want %d, %v, %q", then.Number, onlySaved, err, want, wantSaved, wantErr)
	}
}

func TestHistory_LastRelease(t *testing.T) {
	v := func(number uint64, mode string, stable bool) backends.Version {
		return versionOf(t, number, mode, 1, stable, false)
	}
	saved := v(1, "a", true)
	batch := historyOf(v(2, "b", false), v(1, "a", false))
	batch.Job.Type = "batch"
	withSaved := func(h History) History { h.Saved = &saved; return h }
	for name, tc := range map[string]struct {
		history   History
		want      uint64
		onlySaved bool
		err       string
	}{
		"stable":               {history: historyOf(v(2, "b", true), v(1, "a", true)), want: 1},
		"newest stable":        {history: historyOf(v(3, "c", true), v(2, "b", false), v(1, "a", true)), want: 1},
		"unstable batch job":   {history: batch, want: 1},
		"only the gateway":     {history: withSaved(historyOf(v(9, "b", true), v(8, "b", true))), want: 1, onlySaved: true},
		"saved and in Nomad":   {history: withSaved(historyOf(v(2, "b", true), v(1, "a", true))), want: 1},
		"saved one is current": {history: withSaved(historyOf(v(2, "a", true), v(0, "b", true))), want: 0},
		"first version": {
			history: historyOf(v(0, "a", true)),
			err:     "web has no version before 0: nothing to revert to",
		},
		"only counts": {
			history: historyOf(versionOf(t, 1, "a", 3, true, false), v(0, "a", true)),
			err:     "web has no earlier version that differs from version 1 in anything but counts",
		},
		"none is stable": {
			history: historyOf(v(2, "b", true), v(1, "a", false)),
			err:     "web has no stable version that differs from version 2 in anything but counts; to revert to a version not",
		},
		"stopped": {
			history: historyOf(versionOf(t, 2, "b", 1, true, true), v(1, "b", true), v(0, "a", true)),
			err:     "web is stopped (bring it back: start web; start an earlier version: revert web VERSION",
		},
	} {
		t.Run(name, func(t *testing.T) {
			then, onlySaved, err := tc.history.LastRelease()
			checkVersion(t, then, onlySaved, err, tc.want, tc.onlySaved, tc.err)
		})
	}
}

func TestHistory_Numbered(t *testing.T) {
	v := func(number uint64, mode string) backends.Version { return versionOf(t, number, mode, 1, true, false) }
	running := historyOf(v(5, "b"), v(4, "a"), v(3, "b"), versionOf(t, 2, "a", 1, true, true))
	stopped := historyOf(versionOf(t, 5, "b", 1, true, true), v(4, "b"), v(3, "a"))
	saved := v(1, "a")
	withSaved := running
	withSaved.Saved = &saved
	for name, tc := range map[string]struct {
		history   History
		number    uint64
		onlySaved bool
		err       string
	}{
		"in Nomad":         {history: running, number: 4},
		"only the gateway": {history: withSaved, number: 1, onlySaved: true},
		"current":          {history: running, number: 5, err: "web is already at version 5"},
		"same as current":  {history: running, number: 3, err: "version 3 of web is the same as version 5"},
		"a stop":           {history: running, number: 2, err: "version 2 of web only records that the job was stopped"},
		"unknown":          {history: running, number: 1, err: "Nomad has no version 1 of web (see: history web)"},
		"another is saved": {
			history: withSaved, number: 0,
			err: "Nomad has no version 0 of web, and the gateway has saved version 1",
		},
		"ran before stop":   {history: stopped, number: 4, err: "web is stopped, and version 4 ran before the stop"},
		"earlier, stopped":  {history: stopped, number: 3},
		"the stop, stopped": {history: stopped, number: 5, err: "web is already at version 5"},
	} {
		t.Run(name, func(t *testing.T) {
			then, onlySaved, err := tc.history.Numbered(tc.number)
			checkVersion(t, then, onlySaved, err, tc.number, tc.onlySaved, tc.err)
		})
	}
}

func TestWithCurrentCounts(t *testing.T) {
	now, then := versionOf(t, 2, "b", 5, true, false), versionOf(t, 1, "a", 2, true, false)
	definition, err := WithCurrentCounts(now, then)
	if err != nil {
		t.Fatal(err)
	}
	got, err := backends.ReleaseOf(definition)
	if err != nil || got.ID != then.Release.ID || got.Groups[0].Count != 5 {
		t.Errorf("got %+v, %v, want the release of version 1 with a count of 5", got, err)
	}
	then.Release.Groups[0].Range = &backends.CountRange{Min: 1, Max: 4}
	if _, err := WithCurrentCounts(now, then); err == nil || !strings.HasPrefix(err.Error(),
		"version 1 allows a count of 1 to 4 for group web, but the current count is 5") {
		t.Errorf("out of range: got %v", err)
	}
}

func TestCountChanges(t *testing.T) {
	group := func(name string, count int, scaling string, limits *backends.CountRange) backends.ReleaseGroup {
		return backends.ReleaseGroup{Name: name, Count: count, Scaling: scaling, Range: limits}
	}
	now := backends.Release{Groups: []backends.ReleaseGroup{
		group("db", 1, "", nil), group("new", 7, "", nil), group("web", 3, "x", &backends.CountRange{Min: 1, Max: 5}),
	}}
	then := backends.Release{Groups: []backends.ReleaseGroup{group("db", 2, "", nil), group("web", 3, "", nil)}}
	const want = "counts: db 1 -> 2; scaling: web 1 to 5 -> none"
	if got := ChangesText(CountChanges(now, then)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := ChangesText(CountChanges(now, now)); got != "" {
		t.Errorf("without changes: got %q", got)
	}
}
