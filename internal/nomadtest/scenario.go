package nomadtest

// HostileJobID is a job ID with terminal control characters. Nomad accepts it.
const HostileJobID = "p-team1-\x1b[31mevil\nline\u202e"

// The jobs of the scenario, all on one node, node-1:
//
//	p-team1-web       in the namespaces default and other: 2 and 1 healthy allocations
//	p-team1-multi     a group "api" with the tasks app and sidecar, and a group "pend" that no node can hold
//	p-team1-fail      exits with 3, three times, and fails with its deployment
//	p-team1-slow      runs, but was not healthy in time: its deployment has failed
//	p-team1-done      a batch job that has ended
//	p-team1-cron      periodic, with a cron and a time zone; one child, of a forced launch, that is complete
//	p-team1-crons     periodic, with two crons, in UTC; no child
//	p-team1-off       periodic and disabled
//	p-team1-import    parameterized, needs the meta "file"; one child with a.csv that is complete
//	p-team1-versions  version 0 had one allocation with MODE=old, version 1 has two with MODE=new: both deployed
//	p-team1-moved     its first allocation failed and was rescheduled, once; the second runs and is healthy
//	p-team1-checked   a service of Nomad's with a TCP check "alive" that passes and an HTTP check "ready" that fails
//	Evil              runs
//	p-team3-shell     a task "box" that sleeps, to run programs in
//	p-team3-talker    two allocations whose task "talk" writes "out 1" to "out 150" and "err 1" to "err 150", and sleeps
//	p-team3-finished  a batch job whose task "once" wrote "hello from once" and, to stderr, "bye"
//	p-team3-crashed   its task "crash" wrote "attempt" and exited with 7, twice, and failed
//	p-team10-web, p-team2-shop, q-team2-db   other teams': run
//
// All tasks are of the driver raw_exec. The periodic ones would launch by themselves only on the 29th of February.
const (
	yearlyCron      = "0 5 29 2 *"
	otherYearlyCron = "30 16 29 2 *"
	timeZone        = "Europe/Brussels"
)
