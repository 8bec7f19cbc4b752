package jobrelease

import (
	"encoding/json"
	"fmt"
	"testing"

	"nomadctld/backends"
)

// versionOf returns a version with mode in its environment and a count.
func versionOf(t *testing.T, number uint64, mode string, count int, stable, stopped bool) backends.Version {
	t.Helper()
	definition := json.RawMessage(fmt.Sprintf(`{"ID":"web","Version":%d,"Stop":%v,"TaskGroups":[{"Name":"web",`+
		`"Count":%d,"Tasks":[{"Env":{"MODE":%q}}]}]}`, number, stopped, count, mode))
	release, err := backends.ReleaseOf(definition)
	if err != nil {
		t.Fatal(err)
	}
	return backends.Version{
		Number: number, Stable: stable, Stopped: stopped, CreateIndex: 1, Release: release,
		Definition: definition,
	}
}

func TestLastRelease_NewestStableThatDiffers(t *testing.T) {
	v := func(number uint64, mode string, count int, stable bool) backends.Version {
		return versionOf(t, number, mode, count, stable, false)
	}
	for name, tc := range map[string]struct {
		versions []backends.Version // newest first, starting with the current one
		want     int                // -1: none
	}{
		"a full restart": {[]backends.Version{
			v(3, "b", 1, true), versionOf(t, 2, "b", 1, true, true),
			v(1, "b", 1, true), v(0, "a", 1, true),
		}, 0},
		"scaled":         {[]backends.Version{v(2, "b", 3, true), v(1, "b", 1, true), v(0, "a", 1, true)}, 0},
		"only scaled":    {[]backends.Version{v(1, "b", 3, true), v(0, "b", 1, true)}, -1},
		"the stable one": {[]backends.Version{v(2, "c", 1, true), v(1, "b", 1, false), v(0, "a", 1, true)}, 0},
		"none is stable": {[]backends.Version{v(2, "c", 1, false), v(1, "b", 1, false), v(0, "a", 1, false)}, 1},
		"back and forth": {[]backends.Version{
			v(3, "a", 1, true), v(2, "b", 1, true), v(1, "a", 1, true),
			v(0, "c", 1, true),
		}, 2},
		"stopped with another": {[]backends.Version{v(2, "b", 1, true), versionOf(t, 1, "a", 1, true, true)}, -1},
		"alone":                {[]backends.Version{v(0, "a", 1, true)}, -1},
	} {
		got, ok := lastRelease(earlierReleases(tc.versions[0], tc.versions))
		if ok != (tc.want >= 0) || ok && got.Number != uint64(tc.want) {
			t.Errorf("%s: got %d, %v, want %d", name, got.Number, ok, tc.want)
		}
	}
}

func TestWillBeDeleted_SixUntaggedVersions(t *testing.T) {
	var versions []backends.Version
	for n := 5; n >= 0; n-- {
		versions = append(versions, backends.Version{Number: uint64(n)})
	}
	for name, tc := range map[string]struct {
		number, added int
		tagged        []int
		want          bool
	}{
		"the oldest of six":           {0, 1, nil, true},
		"the second":                  {1, 1, nil, false},
		"the second, two are added":   {1, 2, nil, true},
		"it is tagged":                {0, 2, []int{0}, false},
		"a newer one is tagged":       {0, 1, []int{3}, false},
		"a newer one is tagged, of 2": {0, 2, []int{3}, true},
	} {
		all := append([]backends.Version(nil), versions...)
		for _, n := range tc.tagged {
			all[5-n].Tag = "x"
		}
		if got := willBeDeleted(all[5-tc.number], all, tc.added); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
