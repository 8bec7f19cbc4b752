package router

import (
	"path"
	"slices"
	"strings"
)

const (
	hintCopyFiles = "copy files through exec: ssh GATEWAY exec ID tar c DIR | tar x, " +
		"or rsync -e 'ssh GATEWAY exec' -a FILES ID:DIR/"
	hintRsync = "name the task as the host: rsync -e 'ssh GATEWAY exec' -a FILES ID:DIR/"
	hintGit   = "name the task as the host: GIT_SSH_COMMAND='ssh GATEWAY exec' git -c ssh.variant=simple clone ID:DIR"
	hintShell = "open a shell in a task with ssh -t GATEWAY exec ID"
	hintExec  = "run a program in a task with exec ID PROGRAM"
)

// commandHints are the programs that clients run on the remote side, that users expect on the gateway, or that are
// commands of docker, nomad and kubectl. Each has a hint that names commands of the gateway.
var commandHints = []struct {
	words string
	needs string // the command without which the hint is of no use; empty: none
	hint  string
}{
	// Programs. ps, tail and the like are commands of the gateway.
	{"scp sftp sftp-server internal-sftp cp export", "exec", hintCopyFiles},
	{"rsync", "exec", hintRsync},
	{"git-upload-pack git-receive-pack git-upload-archive git", "exec", hintGit},
	{"shell ssh mosh-server tmux screen vi vim nano", "exec", hintShell},
	{"login", "exec", "you are logged in; " + hintShell},
	{
		"sh bash dash ash zsh ksh fish csh python python3 perl env sudo su tar dd cat ls mv mkdir chmod test true echo " +
			"uname id pwd cd find df du free uptime curl wget", "exec", hintExec,
	},
	{"fs", "exec", "list the files of a task with exec ID ls DIR, and print one with exec ID cat FILE"},
	{"top htop stats", "ps", "print CPU and memory with ps, every 2 seconds with ps --watch"},
	{"watch", "ps", "ps, batch, pstree and status refresh with --watch"},
	{"grep zgrep", "logs", "search a log with logs --grep REGEXP ID"},
	{"less more head", "logs", "print a log with logs -n LINES ID"},
	{"logout exit quit", "", "each command is a session of its own"},
	{"man -h --help -help ?", "help", "use help, or COMMAND --help"},
	{"version -v --version -version", "", "ask the operator of the gateway for its version"},
	{"docker podman nomad kubectl", "", "leave out this word, as in ps"},

	// Nouns of docker and nomad.
	{"alloc job container pod", "", "leave out this word, as in logs ID or status JOB"},
	{"eval evals allocs alloc-status", "status", "print the evaluations and allocations of a job with status JOB"},
	{"eval-status", "status", "print the evaluations and allocations of a job with status JOB"},
	{"deployments", "deployment", "list the deployments of a job with deployment JOB"},
	{
		"service port network services", "inspect",
		"inspect JOB prints the definition of a job, with its services and ports",
	},
	{"volume secret config", "inspect", "inspect JOB prints the definition of a job, with its volumes and templates"},
	{
		"image images build builder buildx commit import load manifest pull push rmi save search tag trust scout", "inspect",
		"inspect JOB prints the definition of a job, with the images of its tasks; the gateway changes no images",
	},
	{
		"node node-status node-drain", "ps",
		"ps prints the node of each task; the gateway changes no nodes",
	},
	{
		"acl agent agent-info client-config keygen keyring license monitor namespace operator plugin quota recommendation " +
			"scaling sentinel server server-join server-members server-force-leave setup system tls ui var check debug swarm " +
			"context",
		"", "the gateway has commands for jobs only; ask its operator about the cluster",
	},

	// Verbs of docker, nomad and kubectl.
	{"list get", "ps", "list jobs and tasks with ps"},
	{"describe events", "info", "print the state and the events of a job with info JOB"},
	{"diff", "history", "print the changes of each version of a job with history JOB"},
	{
		"create plan validate init fmt apply deploy edit rename compose stack", "",
		"the gateway registers no new definitions; use the pipeline that deploys your jobs",
	},
	{"update", "scale", "change the count of a group with scale JOB/GROUP COUNT; other changes need a new definition"},
	{"kill", "signal", "send a signal to a task with signal ID SIGNAL, or stop the job with stop JOB"},
	{"rm", "stop", "stop a job with stop JOB, or delete a file of a task with exec ID rm FILE"},
	{"delete remove down", "stop", "stop a job with stop JOB"},
	{"up", "start", "start a stopped job with start JOB"},
	{"unpause", "resume", "resume a paused deployment with resume JOB"},
	{"periodic", "run", "run a periodic job now with run JOB"},
	{"rollback", "revert", "go back to an older version of a job with revert JOB"},
	{
		"rollout", "deployment",
		"print the progress of a deployment with deployment JOB, and older versions with history JOB",
	},
	{"wait", "status", "watch the progress of a job with status --watch JOB"},
	{"action", "exec", "run the program of the action with exec ID PROGRAM"},
	{"port-forward", "", "ports are not forwarded"},
}

// hintByWord maps each word to its entry in commandHints.
var hintByWord = func() map[string]int {
	hints := map[string]int{}
	for i, a := range commandHints {
		for _, word := range strings.Fields(a.words) {
			hints[word] = i
		}
	}
	return hints
}()

// hasHint reports whether a program or command has a hint. Not every user may see it (see hintFor).
func hasHint(program string) bool {
	_, ok := hintByWord[path.Base(program)]
	return ok
}

// hintFor returns the hint for a program or command, or "" if there is none or the user may not use it.
func hintFor(program string, allowed []Spec) string {
	i, ok := hintByWord[path.Base(program)]
	if !ok {
		return ""
	}
	needs := commandHints[i].needs
	if needs != "" && !slices.ContainsFunc(allowed, func(s Spec) bool { return s.Name == needs }) {
		return ""
	}
	return commandHints[i].hint
}
