package router

import (
	"strings"
	"testing"

	"nomadctld/backends"
)

func TestUnknownCommand_NoMutatingSuggestion(t *testing.T) {
	specs := []Spec{
		{Name: "stop", RightSet: Operate},
		{Name: "raw", RightSet: Admin},
		{Name: "status", RightSet: Read},
		{Name: "exec", RightSet: Enter},
		{Name: "help", RightSet: Public},
	}
	for name, want := range map[string]string{
		"stopp": "", "scop": "", "rwa": "", "statsu": "did you mean status?", "exce": "did you mean exec?",
		"hepl": "did you mean help?",
		"scp":  "copy files through exec", "/usr/lib/openssh/sftp-server": "copy files through exec",
		"git-receive-pack": "GIT_SSH_COMMAND", "login": "ssh -t GATEWAY exec ID",
		"statussss": "", "stxxxs": "", // three typing errors
		"hlp": "did you mean help?", "kill": "", "top": "", // the user may use neither signal nor ps
	} {
		got := UnknownCommand(name, specs).Error()
		if want == "" && got != "no command "+name+" (see: help)" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestNoJobError_SimilarJobs(t *testing.T) {
	job := func(id, parent string) backends.Job {
		return backends.Job{ID: id, Parent: parent, Allocations: []backends.Allocation{
			{JobID: id, Group: "web", Tasks: []backends.Task{{Name: "app"}, {Name: "proxy"}}},
		}}
	}
	jobs := []backends.Job{
		job("p-team1-six", ""), job("p-team1-web2", ""), job("p-team1-web1", ""), job("p-team1-web1", ""), // two tiers
		job("p-team1-import", ""), job("p-team1-import/dispatch-1-a", "p-team1-import"),
		job("p-team1-import/dispatch-2-b", "p-team1-import"),
	}
	for i := range 15 {
		jobs = append(jobs, job("p-team1-nu-"+string(rune('a'+i)), ""))
	}
	for name, want := range map[string]string{
		"p-team10-secret": "no job p-team10-secret (see: ps --all)",
		"p-team1-wbe2":    "no job p-team1-wbe2: did you mean p-team1-web2? (see: ps --all)",
		"p-team1-web3":    "no job p-team1-web3 (see: ps --all)", // another number is another job
		"p-team10-six":    "no job p-team10-six (see: ps --all)",
		"p-team1-nu-": "no job p-team1-nu-, but the IDs of 15 jobs start with it (see: ps --all):\n" +
			"  p-team1-nu-a\n  p-team1-nu-b\n  p-team1-nu-c\n  p-team1-nu-d\n  p-team1-nu-e\n" +
			"  p-team1-nu-f\n  p-team1-nu-g\n  p-team1-nu-h\n  p-team1-nu-i\n  p-team1-nu-j\n  and 5 more",
		"p-team1-nux": "no job p-team1-nux: did you mean p-team1-nu-a, p-team1-nu-b or p-team1-nu-c? (see: ps --all)",
		"p-team1-web": "no job p-team1-web, but the IDs of 2 jobs start with it (see: ps --all):\n" +
			"  p-team1-web1\n  p-team1-web2",
		"p-team1-imp": "no job p-team1-imp, but the ID of 1 job starts with it (see: ps --all):\n  p-team1-import",
		"p-team1-import/d": "no job p-team1-import/d, but the IDs of 2 jobs start with it (see: ps --all):\n" +
			"  p-team1-import/dispatch-1-a\n  p-team1-import/dispatch-2-b",
		// Only selectors of the same form.
		"p-team1-wbe2/web":     "no job p-team1-wbe2/web: did you mean p-team1-web2/web? (see: ps --all)",
		"p-team1-web2/web/apq": "no job p-team1-web2/web/apq: did you mean p-team1-web2/web/app? (see: ps --all)",
		"p-team1-six/w":        "no job p-team1-six/w: did you mean p-team1-six/web? (see: ps --all)",
		"p-team1-sixweb":       "no job p-team1-sixweb (see: ps --all)",
		"33":                   "no job 33; an ID needs at least 4 digits (see: ps --all)",
		"":                     "no job  (see: ps --all)",
	} {
		if got := noJobError(name, jobs).Error(); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
