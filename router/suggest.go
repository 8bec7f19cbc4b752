package router

import (
	"fmt"
	"path"
	"slices"

	"nomadctld/internal/suggest"
)

// didYouMean returns ": did you mean NAME?" for the name closest to word, or "" if none is close.
func didYouMean(word string, names []string) string {
	if best := suggest.Closest(word, names); best != "" {
		return ": did you mean " + best + "?"
	}
	return ""
}

// nonMutating returns the commands that only read or run a program that the user names. Only these may be suggested
// for an unknown command.
func nonMutating(specs []Spec) []Spec {
	return slices.DeleteFunc(slices.Clone(specs), func(s Spec) bool {
		return s.RightSet == Operate || s.RightSet == Admin
	})
}

const (
	hintCopyFiles = "copy files through exec: ssh GATEWAY exec ID tar c DIR | tar x, " +
		"or rsync -e 'ssh GATEWAY exec' -a FILES ID:DIR/"
	hintRsync = "name the task as the host: rsync -e 'ssh GATEWAY exec' -a FILES ID:DIR/"
	hintGit   = "name the task as the host: GIT_SSH_COMMAND='ssh GATEWAY exec' git -c ssh.variant=simple clone ID:DIR"
	hintShell = "open a shell in a task with ssh -t GATEWAY exec ID"
	hintExec  = "run a program in a task with exec ID PROGRAM"
)

// alternatives are hints for programs that clients run on the remote side, or that users expect on the gateway.
var alternatives = map[string]string{
	"scp": hintCopyFiles, "sftp": hintCopyFiles, "sftp-server": hintCopyFiles, "internal-sftp": hintCopyFiles,
	"rsync":           hintRsync,
	"git-upload-pack": hintGit, "git-receive-pack": hintGit, "git-upload-archive": hintGit, "git": hintGit,
	"mosh-server": hintShell, "tmux": hintShell, "screen": hintShell,
	"sh": hintExec, "bash": hintExec, "dash": hintExec, "ash": hintExec, "zsh": hintExec, "ksh": hintExec,
	"fish": hintExec, "csh": hintExec, "python": hintExec, "python3": hintExec, "perl": hintExec, "env": hintExec,
	"sudo": hintExec, "su": hintExec, "tar": hintExec, "dd": hintExec, "cat": hintExec, "ls": hintExec,
	"cp": hintExec, "mv": hintExec, "rm": hintExec, "mkdir": hintExec, "chmod": hintExec, "test": hintExec,
	"true": hintExec, "echo": hintExec, "uname": hintExec, "id": hintExec, "pwd": hintExec, "cd": hintExec,
}

// alternativeFor returns the hint for a program, or "".
func alternativeFor(program string) string { return alternatives[path.Base(program)] }

// UnknownCommand returns the error for an unknown command, with a hint. It suggests only allowed commands that
// change nothing.
func UnknownCommand(name string, allowed []Spec) error {
	if hint := alternativeFor(name); hint != "" {
		return Exit(2, fmt.Errorf("no command %s: %s (see: help)", name, hint))
	}
	return Exit(2, fmt.Errorf("no command %s%s (see: help)", name, didYouMean(name, specNames(nonMutating(allowed)))))
}

// unknownSubsystem returns the error for an SSH subsystem; the gateway has none.
func unknownSubsystem(name string) error {
	if hint := alternativeFor(name); hint != "" {
		return fmt.Errorf("no subsystem %s: %s", name, hint)
	}
	return fmt.Errorf("no subsystem %s (see: help)", name)
}
