package router

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"nomadctld/backends"
	"nomadctld/internal/metrics"
)

// TestCountRequests_Decision checks that the counted decisions are those of the audit log, and that what the user typed
// is not a label.
func TestCountRequests_Decision(t *testing.T) {
	w := newTestGateway()
	w.Metrics = metrics.New()
	results := map[string]error{"limited": fmt.Errorf("programs: %w", backends.ErrLimitReached)}
	running := 0.0
	register(t, Spec{Name: "probe", Target: TargetScope, Args: "[WORD]"}, func(_ context.Context, req *Request) error {
		if strings.Join(req.Args, "") == "panic" {
			panic("boom")
		}
		families, _ := w.Metrics.Gatherer().Gather()
		for _, f := range families {
			if f.GetName() == "nomadctld_sessions" {
				running = f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		return results[strings.Join(req.Args, "")]
	})
	for _, line := range []string{"probe", "probe limited", "probe panic", "probe --bad", "evil", ""} {
		w.run(line)
	}
	if running != 1 {
		t.Errorf("while the command ran: got %v running commands, want 1", running)
	}
	const want = `
# HELP nomadctld_commands_total Finished commands, with the decision that the audit log has.
# TYPE nomadctld_commands_total counter
nomadctld_commands_total{command="probe",decision="allowed"} 2
nomadctld_commands_total{command="probe",decision="failed"} 1
nomadctld_commands_total{command="probe",decision="invalid"} 1
nomadctld_commands_total{command="unknown",decision="invalid"} 2
# HELP nomadctld_sessions Commands that are running.
# TYPE nomadctld_sessions gauge
nomadctld_sessions{command="probe"} 0
`
	err := testutil.GatherAndCompare(w.Metrics.Gatherer(), strings.NewReader(want), "nomadctld_commands_total",
		"nomadctld_sessions")
	if err != nil {
		t.Error(err)
	}
}
