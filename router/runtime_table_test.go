package router

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

// threeRuntimes is a table with two container runtimes, as with a runtime for podman.
type threeRuntimes struct {
	docker, podman fakeContainers
	nomad          fakeRuntime
	selector       RuntimeSelector
}

func newThreeRuntimes() *threeRuntimes {
	r := new(threeRuntimes)
	r.selector.Table = slices.Insert(runtimeTable(&r.docker, &r.nomad), 1, RuntimeEntry{
		Name: "podman", Title: "Podman", Drivers: []string{"podman"},
		Runtime: func(string) backends.Runtime { return &r.podman },
	})
	return r
}

// exec runs a program in a task. It returns one letter for each program that ran, sorted: d for docker, n for nomad and
// p for podman.
func (r *threeRuntimes) exec(t *testing.T, task string) (used string, err error) {
	t.Helper()
	r.docker.programs, r.podman.programs, r.nomad.programs = 0, 0, 0
	runtime, _ := runtimeOfTask(newTestGateway(), &r.selector, task)
	_, err = runtime.Exec(t.Context(), backends.Program{})
	for name, programs := range map[string]int{"d": r.docker.programs, "p": r.podman.programs, "n": r.nomad.programs} {
		used += strings.Repeat(name, programs)
	}
	letters := []byte(used)
	slices.Sort(letters)
	return string(letters), err
}

func TestRuntimeSelector_ByDriver(t *testing.T) {
	for _, tc := range []struct{ only, task, want string }{
		{"", "web", "d"},
		{"", "pod", "p"},
		{"", "raw", "n"},
		{"", "unknown", "n"},
		{"docker", "pod", "d"},
		{"podman", "web", "p"},
		{"nomad", "web", "n"},
	} {
		r := newThreeRuntimes()
		r.selector.Only = tc.only
		if used, err := r.exec(t, tc.task); used != tc.want || err != nil {
			t.Errorf("only %q, task %s: used %q, %v, want %q", tc.only, tc.task, used, err, tc.want)
		}
	}
}

func TestRuntimeSelector_Fallback(t *testing.T) {
	r := newThreeRuntimes()
	r.podman.err = backends.ErrDeclined
	if used, err := r.exec(t, "pod"); used != "np" || err != nil {
		t.Errorf("declined: used %q, %v", used, err)
	}
	r.podman.inspectErr = backends.ErrUnreachable
	r.nomad.err = backends.ErrUnsupported
	if used, err := r.exec(t, "pod"); used != "n" || !errors.Is(err, backends.ErrUnreachable) ||
		!errors.Is(err, backends.ErrUnsupported) {
		t.Errorf("down: used %q, %v, want both reasons", used, err)
	}
	r.selector.Table = r.selector.Table[:2]
	if used, err := r.exec(t, "raw"); used != "" || !errors.Is(err, backends.ErrUnsupported) {
		t.Errorf("no runtime for the driver: used %q, %v", used, err)
	}
}

// TestRuntimeSelector_DownDaemon checks that a daemon that is down is not tried again for a while, and that another
// runtime's daemon on the same node is.
func TestRuntimeSelector_DownDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newThreeRuntimes()
		r.docker.inspectErr = backends.ErrUnreachable
		for range 3 {
			if used, err := r.exec(t, "web"); used != "n" || err != nil {
				t.Errorf("used %q, %v", used, err)
			}
		}
		if r.docker.inspects != 1 {
			t.Errorf("the daemon was tried %d times, want once", r.docker.inspects)
		}
		if used, err := r.exec(t, "pod"); used != "p" || err != nil {
			t.Errorf("the other daemon: used %q, %v", used, err)
		}
		r.docker.inspectErr = nil
		time.Sleep(daemonRetryInterval - time.Second)
		if used, _ := r.exec(t, "web"); used != "n" {
			t.Errorf("before the interval is over: used %q", used)
		}
		time.Sleep(time.Second)
		if used, _ := r.exec(t, "web"); used != "d" {
			t.Errorf("after the interval: used %q", used)
		}
	})
}

// TestRuntimeSelector_Continue expects that the selector of the next configuration knows which daemons are down, unless
// the settings of their runtime have changed.
func TestRuntimeSelector_Continue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newThreeRuntimes()
		r.docker.inspectErr = backends.ErrUnreachable
		r.exec(t, "web")
		next := threeRuntimes{selector: RuntimeSelector{Table: r.selector.Table}}
		next.selector.Continue(&r.selector)
		next.exec(t, "web")
		if r.docker.inspects != 1 {
			t.Errorf("the daemon was tried %d times, want once", r.docker.inspects)
		}
		changed := newThreeRuntimes()
		changed.selector.Continue(&r.selector)
		if used, err := changed.exec(t, "web"); used != "d" || err != nil {
			t.Errorf("with another runtime: used %q, %v", used, err)
		}
	})
}

func TestRuntimeSelector_NodeAddress(t *testing.T) {
	r := newThreeRuntimes()
	r.podman.needsAddress = true
	for _, task := range []string{"web", "pod"} {
		if _, err := r.exec(t, task); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(r.docker.addresses, []string{""}) || !slices.Equal(r.podman.addresses, []string{"192.0.2.7"}) {
		t.Errorf("got the addresses %q and %q", r.docker.addresses, r.podman.addresses)
	}
}

func TestTaskRuntime_Inspect(t *testing.T) {
	for _, only := range []string{"", "docker", "nomad"} {
		r := newThreeRuntimes()
		r.selector.Only = only
		for task, want := range map[string]string{
			"web": "", "pod": "",
			"raw": "task raw of p-team1-web.app[0] has no Docker or Podman container: its driver is raw_exec",
		} {
			runtime, _ := runtimeOfTask(newTestGateway(), &r.selector, task)
			raw, err := runtime.Inspect(t.Context())
			if want == "" && (err != nil || string(raw) != "{}") || want != "" && (err == nil || err.Error() != want) {
				t.Errorf("only %q, task %s: got %s, %v, want %q", only, task, raw, err, want)
			}
		}
		if r.docker.inspects != 1 || r.podman.inspects != 1 {
			t.Errorf("only %q: inspected %d and %d times", only, r.docker.inspects, r.podman.inspects)
		}
	}
	two := &RuntimeSelector{Table: runtimeTable(new(fakeContainers), new(fakeRuntime))}
	runtime, _ := runtimeOfTask(newTestGateway(), two, "raw")
	const want = "task raw of p-team1-web.app[0] has no Docker container: its driver is raw_exec"
	if _, err := runtime.Inspect(t.Context()); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	notOwned, _ := runtimeOfTask(newTestGateway(), two, "web")
	notOwned.(*boundRuntime).task.Allocation.Root = "p-team2-web"
	if _, err := notOwned.Inspect(t.Context()); !errors.Is(err, errNotOwned) {
		t.Errorf("not owned: got %v", err)
	}
}
