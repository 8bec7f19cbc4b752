package nomadtest

// HostileJobID is a job ID with terminal control characters. Nomad accepts it.
const HostileJobID = "p-team1-\x1b[31mevil\nline\u202e"

// The jobs of the scenario, all on one node, node-1:
//
//	p-team1-web       in the namespaces default and other: 2 and 1 healthy allocations
//	p-team1-multi     a group "api" with the tasks app and sidecar, and a group "pend" that fits on no node
//	p-team1-fail      exits with code 3 three times; the allocation and the deployment failed
//	p-team1-slow      running, but the deployment failed because it was not healthy in time
//	p-team1-done      a complete batch job
//	p-team1-cron      periodic, with a cron and a time zone; one complete child, which was forced
//	p-team1-crons     periodic, with two crons, in UTC; no child
//	p-team1-off       periodic and disabled
//	p-team1-import    parameterized, requires the meta "file"; one complete child with a.csv
//	p-team1-versions  version 0 had one allocation with MODE=old, version 1 has two with MODE=new; both are deployed
//	p-team1-moved     the first allocation failed and was rescheduled; the second is healthy
//	p-team1-checked   a Nomad service with a passing TCP check "alive" and a failing HTTP check "ready"
//	HostileJobID      running
//	p-team3-shell     a task "box" that sleeps, for tests of exec
//	p-team3-talker    two allocations whose task "talk" writes "out 1" to "out 150" and "err 1" to "err 150", and sleeps
//	p-team3-finished  a batch job whose task "once" wrote "hello from once", and "bye" to stderr
//	p-team3-crashed   the task "crash" wrote "attempt" and exited with code 7, twice, and failed
//	p-team10-web, p-team2-shop, q-team2-db   running jobs of other teams
//
// All tasks use raw_exec. The periodic jobs are scheduled only on February 29.
const (
	leapDayCron      = "0 5 29 2 *"
	otherLeapDayCron = "30 16 29 2 *"
	timeZone         = "Europe/Brussels"
)
