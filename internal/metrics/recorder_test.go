package metrics

import (
	"errors"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// record makes every kind of event on r.
func record(r *Recorder) {
	r.SetVersion("v1")
	r.ConnectionRefused(Displaced)
	r.LoggedIn()
	r.LoginFailed(UnknownKey)
	r.CommandStarted("tail")
	r.CommandStarted("ps")()
	r.CommandFinished("ps", "allowed", 30*time.Millisecond)
	r.NomadRequest("production", "read", "2xx", 20*time.Millisecond)
	r.AuditEventLost()
	r.AuditRefusedCommand()
	r.Started()
	r.Reloaded(nil)
	r.Reloaded(errors.New("bad file"))
	r.CountConnections(func() (int, int) { return 2, 3 })
	r.CountSlots(func() []Slots {
		return []Slots{{Tier: "production", Kind: "read", Capacity: 34, Used: 5, Waiting: 1}}
	})
}

func TestRecorder_Series(t *testing.T) {
	r := New()
	record(r)
	const want = `
# HELP nomadctld_audit_commands_refused_total Commands that did not run because of the audit log.
# TYPE nomadctld_audit_commands_refused_total counter
nomadctld_audit_commands_refused_total 1
# HELP nomadctld_audit_events_lost_total Events that could not be written to the audit log.
# TYPE nomadctld_audit_events_lost_total counter
nomadctld_audit_events_lost_total 1
# HELP nomadctld_commands_total Finished commands, with the decision that the audit log has.
# TYPE nomadctld_commands_total counter
nomadctld_commands_total{command="ps",decision="allowed"} 1
# HELP nomadctld_config_last_reload_successful 1, or 0 after a failed reload: an earlier configuration is in effect.
# TYPE nomadctld_config_last_reload_successful gauge
nomadctld_config_last_reload_successful 0
# HELP nomadctld_config_reloads_total Reloads of the configuration.
# TYPE nomadctld_config_reloads_total counter
nomadctld_config_reloads_total{outcome="failure"} 1
nomadctld_config_reloads_total{outcome="success"} 1
# HELP nomadctld_login_failures_total Connections that ended without a login.
# TYPE nomadctld_login_failures_total counter
nomadctld_login_failures_total{reason="forged_signature"} 0
nomadctld_login_failures_total{reason="limit"} 0
nomadctld_login_failures_total{reason="no_common_algorithm"} 0
nomadctld_login_failures_total{reason="no_handshake"} 0
nomadctld_login_failures_total{reason="no_key_offered"} 0
nomadctld_login_failures_total{reason="not_signed"} 0
nomadctld_login_failures_total{reason="refused_key"} 0
nomadctld_login_failures_total{reason="unknown_key"} 1
# HELP nomadctld_logins_total Connections that have proven a key of a user.
# TYPE nomadctld_logins_total counter
nomadctld_logins_total 1
# HELP nomadctld_nomad_slots Connections that the gateway may have to a tier. Tiers of the same cluster share them.
# TYPE nomadctld_nomad_slots gauge
nomadctld_nomad_slots{kind="read",tier="production"} 34
# HELP nomadctld_nomad_slots_used Connections to a tier that are in use.
# TYPE nomadctld_nomad_slots_used gauge
nomadctld_nomad_slots_used{kind="read",tier="production"} 5
# HELP nomadctld_nomad_slots_waiting Requests that wait for a connection to a tier.
# TYPE nomadctld_nomad_slots_waiting gauge
nomadctld_nomad_slots_waiting{kind="read",tier="production"} 1
# HELP nomadctld_sessions Commands that are running.
# TYPE nomadctld_sessions gauge
nomadctld_sessions{command="ps"} 0
nomadctld_sessions{command="tail"} 1
# HELP nomadctld_ssh_connections Open connections.
# TYPE nomadctld_ssh_connections gauge
nomadctld_ssh_connections{state="authenticated"} 3
nomadctld_ssh_connections{state="unauthenticated"} 2
# HELP nomadctld_ssh_connections_refused_total Connections closed before the login, such as for a limit or a penalty.
# TYPE nomadctld_ssh_connections_refused_total counter
nomadctld_ssh_connections_refused_total{reason="displaced"} 1
nomadctld_ssh_connections_refused_total{reason="limit"} 0
nomadctld_ssh_connections_refused_total{reason="penalty"} 0
nomadctld_ssh_connections_refused_total{reason="proxy"} 0
`
	var names []string
	for line := range strings.Lines(want) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(rest, " ")
			names = append(names, name)
		}
	}
	if err := testutil.GatherAndCompare(r.Gatherer(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	for name, count := range map[string]int{
		"nomadctld_command_duration_seconds": 1, "nomadctld_nomad_request_duration_seconds": 1,
		"nomadctld_nomad_requests_total": 1, "nomadctld_build_info": 1,
		"nomadctld_config_last_reload_success_timestamp_seconds": 1, "go_goroutines": 1, "process_open_fds": 1,
	} {
		if got, err := testutil.GatherAndCount(r.Gatherer(), name); err != nil || got != count {
			t.Errorf("%s: got %d series, %v, want %d", name, got, err, count)
		}
	}
}

// TestRecorder_NamesFollowConventions checks every series of the gateway's own with promlint.
func TestRecorder_NamesFollowConventions(t *testing.T) {
	r := New()
	record(r)
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	own := slices.DeleteFunc(families, func(f *dto.MetricFamily) bool {
		return !strings.HasPrefix(f.GetName(), "nomadctld_")
	})
	if want := reflect.TypeFor[Recorder]().NumField() - 1 + 2; len(own) != want { // the slots are three families
		t.Errorf("got %d families, want %d: record must make every kind of event", len(own), want)
	}
	problems, err := promlint.NewWithMetricFamilies(own).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v", problems, err)
	}
	bad := prometheus.NewCounter(prometheus.CounterOpts{Name: "nomadctld_badCounter"})
	if problems, err := testutil.CollectAndLint(bad); err != nil || len(problems) == 0 {
		t.Errorf("a bad name: got %v, %v", problems, err)
	}
}

func TestRecorder_ReloadTime(t *testing.T) {
	r := New()
	if got := testutil.ToFloat64(r.reloadTime); got != 0 {
		t.Errorf("before the start: got %v", got)
	}
	r.Started()
	started := testutil.ToFloat64(r.reloadTime)
	if now := float64(time.Now().Unix()); started < now-60 || started > now+60 {
		t.Errorf("got %v, want about %v", started, now)
	}
	if got := testutil.ToFloat64(r.reloadSuccessful); got != 1 {
		t.Errorf("after the start: got %v, want 1", got)
	}
	r.Reloaded(errors.New("bad file"))
	if got := testutil.ToFloat64(r.reloadTime); got != started {
		t.Errorf("a failed reload changed the time to %v", got)
	}
	r.Reloaded(nil)
	if got := testutil.ToFloat64(r.reloadSuccessful); got != 1 {
		t.Errorf("after a reload: got %v, want 1", got)
	}
}

func TestRecorder_Nil(t *testing.T) {
	var r *Recorder
	record(r)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if r.Listener(l) != l {
		t.Error("a nil recorder changed the listener")
	}
}

func TestListener_CountsBytes(t *testing.T) {
	r := New()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := r.Listener(inner)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client.Write([]byte("12345"))
	buffer := make([]byte, 100)
	n, _ := server.Read(buffer)
	server.Write([]byte("123"))
	if got := testutil.ToFloat64(r.bytes.WithLabelValues(received)); n != 5 || got != 5 {
		t.Errorf("received: read %d and counted %v, want 5", n, got)
	}
	if got := testutil.ToFloat64(r.bytes.WithLabelValues(sent)); got != 3 {
		t.Errorf("sent: got %v, want 3", got)
	}
	if got := testutil.ToFloat64(r.connections); got != 1 {
		t.Errorf("connections: got %v, want 1", got)
	}
}
