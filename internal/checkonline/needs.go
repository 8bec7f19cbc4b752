package checkonline

// Need is what commands need of the gateway's token.
type Need struct {
	Commands string   // that do not work without it
	AnyOf    []string // capabilities; one is sufficient, and the first is the narrowest
	All      bool     // nearly all commands need it
}

// Needs lists the capabilities in the order of the shipped policies, whose test checks that they agree. submit-job
// includes the capabilities that it is listed with. Most of them exist only since Nomad 1.11.2.
var Needs = []Need{
	{"list jobs, which nearly all commands do", []string{"list-jobs"}, true},
	{"read jobs, which nearly all commands do", []string{"read-job"}, true},
	{"logs and tail through Nomad", []string{"read-logs", "read-fs"}, false},
	{"exec through Nomad", []string{"alloc-exec"}, false},
	{"exec through Nomad into raw_exec tasks", []string{"alloc-node-exec"}, false},
	{"restart, signal, and stop of one allocation", []string{"alloc-lifecycle"}, false},
	{"scale, and stop of a group", []string{"scale-job", "submit-job"}, false},
	{"stop", []string{"deregister-job", "submit-job"}, false},
	{"stop --purge", []string{"purge-job", "submit-job"}, false},
	{"revert", []string{"revert-job", "submit-job"}, false},
	{"restart of failed allocations", []string{"evaluate-job", "submit-job"}, false},
	{"promote", []string{"promote-deployment", "submit-job"}, false},
	{"fail", []string{"fail-deployment", "submit-job"}, false},
	{"pause and resume", []string{"pause-deployment", "submit-job"}, false},
	{"run", []string{"dispatch-job", "submit-job"}, false},
	{"dispatch", []string{"dispatch-job"}, false},
	{"start, restart --full and ops --restore", []string{"register-job", "submit-job"}, false},
}
