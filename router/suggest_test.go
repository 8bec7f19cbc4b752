package router

import (
	"strings"
	"testing"
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
		"git-receive-pack": "GIT_SSH_COMMAND",
	} {
		got := UnknownCommand(name, specs).Error()
		if want == "" && got != "no command "+name+" (see: help)" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
