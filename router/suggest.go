package router

import (
	"fmt"
	"path"
	"slices"

	"nomadctld/internal/suggest"
)

// didYouMean returns ": did you mean NAME?" for the name nearest to word, or nothing when none is near.
func didYouMean(word string, names []string) string {
	if best := suggest.Name(word, names); best != "" {
		return ": did you mean " + best + "?"
	}
	return ""
}

// harmless returns the commands that only look or run what the user names: one of these may be suggested for a command that
// is not there.
func harmless(specs []Spec) []Spec {
	return slices.DeleteFunc(slices.Clone(specs), func(s Spec) bool { return s.Set == Operate || s.Set == Admin })
}

const (
	copyFiles = "copy files through exec: ssh GATEWAY exec ID tar c DIR | tar x, or rsync -e 'ssh GATEWAY exec' -a FILES ID:DIR/"
	useRsync  = "name the task as the host: rsync -e 'ssh GATEWAY exec' -a FILES ID:DIR/"
	useGit    = "name the task as the host: GIT_SSH_COMMAND='ssh GATEWAY exec' git -c ssh.variant=simple clone ID:DIR"
	useTTY    = "open a shell in a task with ssh -t GATEWAY exec ID"
	useExec   = "run a program in a task with exec ID PROGRAM"
)

// instead is what to do in place of a program that clients run on the other side, or that users take the gateway to have.
var instead = map[string]string{
	"scp": copyFiles, "sftp": copyFiles, "sftp-server": copyFiles, "internal-sftp": copyFiles,
	"rsync":           useRsync,
	"git-upload-pack": useGit, "git-receive-pack": useGit, "git-upload-archive": useGit, "git": useGit,
	"mosh-server": useTTY, "tmux": useTTY, "screen": useTTY,
	"sh": useExec, "bash": useExec, "dash": useExec, "ash": useExec, "zsh": useExec, "ksh": useExec, "fish": useExec, "csh": useExec,
	"python": useExec, "python3": useExec, "perl": useExec, "env": useExec, "sudo": useExec, "su": useExec,
	"tar": useExec, "dd": useExec, "cat": useExec, "ls": useExec, "cp": useExec, "mv": useExec, "rm": useExec, "mkdir": useExec,
	"chmod": useExec, "test": useExec, "true": useExec, "echo": useExec, "uname": useExec, "id": useExec, "pwd": useExec, "cd": useExec,
}

// Instead returns what to do in place of running program on the gateway; empty: nothing is known.
func Instead(program string) string { return instead[path.Base(program)] }

// unknownSubsystem returns the error for a subsystem, of which there are none.
func unknownSubsystem(name string) error {
	if hint := Instead(name); hint != "" {
		return fmt.Errorf("no subsystem %s: %s", name, hint)
	}
	return fmt.Errorf("no subsystem %s (see: help)", name)
}
