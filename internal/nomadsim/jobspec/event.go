package jobspec

import (
	"fmt"
	"strconv"
	"time"
)

// Event is a task event in Nomad's format. The functions below create Nomad's most frequent events.
type Event struct {
	Type             string
	Time             int64 // Unix nanoseconds
	Message          string
	DisplayMessage   string
	Details          map[string]string
	FailsTask        bool
	RestartReason    string
	SetupError       string
	DriverError      string
	DriverMessage    string
	ExitCode         int
	Signal           int
	KillTimeout      time.Duration
	KillError        string
	KillReason       string
	StartDelay       int64
	DownloadError    string
	ValidationError  string
	DiskLimit        int64
	FailedSibling    string
	VaultError       string
	TaskSignalReason string
	TaskSignal       string
	GenericSource    string
}

// NewEvent returns an event of a kind that has no function of its own.
func NewEvent(at time.Time, kind, display string, details map[string]string) Event {
	if details == nil {
		details = map[string]string{}
	}
	return Event{Type: kind, Time: at.UnixNano(), DisplayMessage: display, Details: details}
}

// messageEvent returns an event that displays its message.
func messageEvent(at time.Time, kind, msg string) Event {
	e := NewEvent(at, kind, msg, map[string]string{"message": msg})
	e.Message = msg
	return e
}

// Received is the first event of a task.
func Received(at time.Time) Event { return NewEvent(at, "Received", "Task received by client", nil) }

// TaskSetup follows Received.
func TaskSetup(at time.Time) Event { return messageEvent(at, "Task Setup", "Building Task Directory") }

// Started reports that the program of the task was started.
func Started(at time.Time) Event { return NewEvent(at, "Started", "Task started by client", nil) }

// DockerTerminated reports that the program of the task exited. The default message is that of the docker driver.
func DockerTerminated(at time.Time, exit int, msg string) Event {
	if msg == "" && exit != 0 {
		msg = fmt.Sprintf("Docker container exited with non-zero exit code: %d", exit)
	}
	e := NewEvent(at, "Terminated", fmt.Sprintf("Exit Code: %d", exit), map[string]string{
		"exit_code": strconv.Itoa(exit), "signal": "0", "oom_killed": "false",
	})
	e.ExitCode = exit
	if msg != "" {
		e.Message = msg
		e.Details["exit_message"] = msg
		e.DisplayMessage += fmt.Sprintf(", Exit Message: %q", msg)
	}
	return e
}

// ExecTerminated reports the exit of a program with the drivers exec and raw_exec. signal is 0 unless a signal killed
// it.
func ExecTerminated(at time.Time, exit, signal int) Event {
	display := fmt.Sprintf("Exit Code: %d", exit)
	if signal != 0 {
		display += fmt.Sprintf(", Signal: %d", signal)
	}
	e := NewEvent(at, "Terminated", display, map[string]string{
		"exit_code": strconv.Itoa(exit), "signal": strconv.Itoa(signal), "oom_killed": "false",
	})
	e.ExitCode, e.Signal = exit, signal
	return e
}

// OOMKilled is DockerTerminated for a program that ran out of memory.
func OOMKilled(at time.Time) Event {
	e := DockerTerminated(at, 137, "OOM Killed")
	e.Details["oom_killed"] = "true"
	return e
}

// Restarting announces a restart within the restart policy.
func Restarting(at time.Time, in time.Duration) Event {
	const reason = "Restart within policy"
	e := NewEvent(at, "Restarting", fmt.Sprintf("Task restarting in %v", in), map[string]string{
		"restart_reason": reason, "start_delay": strconv.FormatInt(int64(in), 10),
	})
	e.RestartReason, e.StartDelay = reason, int64(in)
	return e
}

// NotRestarting reports that the task will not be restarted after this number of attempts. 0 means that the policy
// permits no restarts.
func NotRestarting(at time.Time, attempts int) Event {
	reason := fmt.Sprintf(`Exceeded allowed attempts %d in interval 5m0s and mode is "fail"`, attempts)
	if attempts == 0 {
		reason = "Policy allows no restarts"
	}
	e := NewEvent(at, "Not Restarting", reason, map[string]string{"restart_reason": reason, "fails_task": "true"})
	e.RestartReason, e.FailsTask = reason, true
	return e
}

// Unhealthy reports why the allocation is unhealthy in its deployment.
func Unhealthy(at time.Time, msg string) Event { return messageEvent(at, "Alloc Unhealthy", msg) }

// Killing reports why Nomad kills the task.
func Killing(at time.Time, reason string) Event {
	e := NewEvent(at, "Killing", reason, map[string]string{"kill_reason": reason})
	e.KillReason = reason
	return e
}
