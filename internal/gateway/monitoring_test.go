package gateway_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/crypto/ssh"

	"nomadctld/config"
	"nomadctld/internal/gateway"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
	"nomadctld/router"
)

const monitored = `metrics.bind = "127.0.0.1:0"`

// get returns the response of a path.
func get(t *testing.T, g *gatewaytest.Gateway, path string) (status int, body string) {
	t.Helper()
	response, err := http.Get("http://" + g.Metrics + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// scrape returns the series of a gateway, by name.
func scrape(t *testing.T, g *gatewaytest.Gateway) map[string]*dto.MetricFamily {
	t.Helper()
	status, body := get(t, g, "/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if status != http.StatusOK || err != nil {
		t.Fatalf("got %d, %v: %s", status, err, body)
	}
	return families
}

// sum returns the sum of the values of all series of a name whose labels include the given ones, such as
// command=ps. For a histogram it sums the counts.
func sum(families map[string]*dto.MetricFamily, name string, labels ...string) (total float64) {
	for _, m := range families[name].GetMetric() {
		var own []string
		for _, l := range m.GetLabel() {
			own = append(own, l.GetName()+"="+l.GetValue())
		}
		if slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(own, l) }) {
			continue
		}
		total += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return total
}

// TestMetrics_RealTraffic checks the values of the series after commands, refused commands and failed logins, and that
// no label contains anything that a client has chosen.
func TestMetrics_RealTraffic(t *testing.T) {
	t.Parallel()
	g := gatewaytest.Start(t, nomadtest.Simulated(t).URL, monitored+`
alias.mine = "ps p-team1"
users.far = { prefix = ["team1"], from = ["192.0.2.0/24"], key = "$KEY" }
`)
	client := g.Dial(t, "ann")
	for _, line := range []string{
		"ps", "mine", "ps --json", "info p-team1-versions", "status p-team1-web",
		"stop p-team2-secret", "no-such-command 1234", "ps --bad-flag",
		"'unclosed",
	} {
		gatewaytest.RunLine(t, client, line)
	}
	for _, login := range []string{"evilname", "far"} { // only far has that key
		if conn, err := g.TryDial(login, "wim"); err == nil {
			conn.Close()
			t.Fatal(login + " logged in")
		}
	}
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("ps --watch 1000"); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "ps is running", func() bool {
		return sum(scrape(t, g), "nomadctld_sessions", "command=ps") == 1
	})
	families := scrape(t, g)
	for _, test := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{3, "nomadctld_commands_total", []string{"command=ps", "decision=allowed"}},
		{1, "nomadctld_commands_total", []string{"command=ps", "decision=invalid"}},
		{1, "nomadctld_commands_total", []string{"command=info", "decision=allowed"}},
		{1, "nomadctld_commands_total", []string{"command=status", "decision=failed"}}, // ambiguous
		{1, "nomadctld_commands_total", []string{"command=stop", "decision=denied"}},
		{2, "nomadctld_commands_total", []string{"command=unknown", "decision=invalid"}},
		{4, "nomadctld_command_duration_seconds", []string{"command=ps"}},
		{0, "nomadctld_sessions", []string{"command=info"}},
		{1, "nomadctld_logins_total", nil},
		{1, "nomadctld_login_failures_total", []string{"reason=unknown_key"}},
		{1, "nomadctld_login_failures_total", []string{"reason=refused_key"}},
		{2, "nomadctld_login_failures_total", nil},
		{3, "nomadctld_ssh_connections_total", nil},
		{1, "nomadctld_ssh_connections", []string{"state=authenticated"}},
		{0, "nomadctld_ssh_connections", []string{"state=unauthenticated"}},
		{34, "nomadctld_nomad_slots", []string{"tier=production", "kind=read"}},
		{1, "nomadctld_config_last_reload_successful", nil},
		{0, "nomadctld_audit_events_lost_total", nil},
	} {
		if got := sum(families, test.name, test.labels...); got != test.want {
			t.Errorf("%s %v: got %v, want %v", test.name, test.labels, got, test.want)
		}
	}
	for name, labels := range map[string][]string{
		"nomadctld_nomad_requests_total":           {"tier=production", "kind=read", "code=2xx"},
		"nomadctld_nomad_request_duration_seconds": {"tier=production"},
		"nomadctld_ssh_bytes_total":                {"direction=sent"},
	} {
		if sum(families, name, labels...) == 0 {
			t.Errorf("%s %v: got 0", name, labels)
		}
	}
	checkLabels(t, families)
}

// checkLabels checks that the values of all labels are from fixed sets.
func checkLabels(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	allowed := map[string][]string{
		"tier": {"production"}, "command": append(router.CommandNames(), "unknown"),
		"decision": {"allowed", "denied", "failed", "invalid"}, "state": {"authenticated", "unauthenticated"},
		"direction": {"received", "sent"}, "outcome": {"success", "failure"},
		"kind": {"read", "change", "node_change", "program", "log", "signal"},
		"code": {"2xx", "3xx", "4xx", "5xx", "canceled", "error"},
		"reason": {
			"limit", "displaced", "penalty", "proxy", "no_handshake", "no_common_algorithm", "no_key_offered",
			"unknown_key", "refused_key", "not_signed", "forged_signature",
		},
	}
	own := 0
	for name, family := range families {
		if !strings.HasPrefix(name, "nomadctld_") {
			continue
		}
		own++
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if name != "nomadctld_build_info" && !slices.Contains(allowed[label.GetName()], label.GetValue()) {
					t.Errorf("%s: label %s has the value %q", name, label.GetName(), label.GetValue())
				}
			}
		}
	}
	if own < 15 {
		t.Errorf("got %d families of the gateway", own)
	}
}

func TestMetrics_ForgedSignature(t *testing.T) {
	t.Parallel()
	g := gatewaytest.Start(t, nomadtest.Simulated(t).URL, monitored)
	forged := forgedSigner{g.Keys["ann"], g.Keys["wim"]}
	if conn, err := ssh.Dial("tcp", g.Address, &ssh.ClientConfig{
		User: "ann", Auth: []ssh.AuthMethod{ssh.PublicKeys(forged)},
		HostKeyCallback: ssh.FixedHostKey(g.Keys["hostkey"].PublicKey()),
	}); err == nil {
		conn.Close()
		t.Fatal("a forged signature was accepted")
	}
	scanner, err := net.Dial("tcp", g.Address)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(scanner, "GET / HTTP/1.1\r\n\r\n")
	scanner.Close()
	testenv.Eventually(t, "both are counted", func() bool {
		families := scrape(t, g)
		return sum(families, "nomadctld_login_failures_total", "reason=forged_signature") == 1 &&
			sum(families, "nomadctld_login_failures_total", "reason=no_handshake") == 1 &&
			sum(families, "nomadctld_logins_total") == 0
	})
}

// forgedSigner offers one key and signs with another.
type forgedSigner struct{ offered, signing ssh.Signer }

func (s forgedSigner) PublicKey() ssh.PublicKey { return s.offered.PublicKey() }

func (s forgedSigner) Sign(random io.Reader, data []byte) (*ssh.Signature, error) {
	return s.signing.Sign(random, data)
}

func TestReady_AuditLog(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]int{"": http.StatusOK, "true": http.StatusServiceUnavailable} {
		g := gatewaytest.New(t, nomadtest.Simulated(t).URL, monitored)
		if settings != "" {
			text := testenv.ReadFile(t, g.ConfigFile())
			g.WriteConfig(t, strings.Replace(text, "audit = { ", "audit = { required = true, ", 1))
		}
		g.Serve(t)
		if status, body := get(t, g, "/readyz"); status != http.StatusOK || body != "ssh server: ok\naudit log: ok\n" {
			t.Errorf("got %d, %q", status, body)
		}
		client := g.Dial(t, "wim")
		if err := os.Remove(g.Dir.Path("audit")); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(g.Dir.Path("audit"), 0o700); err != nil {
			t.Fatal(err)
		}
		if status, body := get(t, g, "/readyz"); status != want || !strings.Contains(body, "audit log: ") ||
			strings.Contains(body, "audit log: ok") {
			t.Errorf("required %q: got %d, %q, want %d", settings, status, body, want)
		}
		if status, _ := get(t, g, "/healthz"); status != http.StatusOK {
			t.Errorf("healthz: got %d", status)
		}
		gatewaytest.RunLine(t, client, "whoami")
		lost, refused := sum(scrape(t, g), "nomadctld_audit_events_lost_total"),
			sum(scrape(t, g), "nomadctld_audit_commands_refused_total")
		if settings == "" && (lost == 0 || refused != 0) || settings != "" && refused != 1 {
			t.Errorf("required %q: got %v lost events and %v refused commands", settings, lost, refused)
		}
	}
}

// TestReady_Stopping checks that a gateway that stops is not ready, while a command is still running.
func TestReady_Stopping(t *testing.T) {
	t.Parallel()
	g := gatewaytest.Start(t, nomadtest.Simulated(t).URL, monitored)
	client := g.Dial(t, "wim")
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("ps --watch 1000"); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "ps is running", func() bool {
		return sum(scrape(t, g), "nomadctld_sessions", "command=ps") == 1
	})
	stopped := make(chan struct{})
	go func() { defer close(stopped); g.Stop() }()
	testenv.Eventually(t, "the gateway is not ready", func() bool {
		status, body := get(t, g, "/readyz")
		return status == http.StatusServiceUnavailable && strings.HasPrefix(body, "ssh server: stopping\n")
	})
	session.Close()
	<-stopped
	if response, err := http.Get("http://" + g.Metrics + "/healthz"); err == nil {
		response.Body.Close()
		t.Error("a stopped gateway responds")
	}
}

func TestMetrics_CannotListen(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	missing := "unix:" + t.TempDir() + "/missing/socket"
	for bind, want := range map[string]string{
		taken.Addr().String(): ": bind: address already in use; stop the other program, or choose another port",
		missing:               ": bind: no such file or directory; create the directory of the socket",
	} {
		g := gatewaytest.New(t, nomadtest.Simulated(t).URL, "metrics.bind = \""+bind+"\"")
		c, diagnostics := config.Load(g.ConfigFile(), gateway.Commands())
		if c == nil {
			t.Fatal(diagnostics)
		}
		log := slog.New(slog.DiscardHandler)
		if _, err := gateway.Listen(c, log); err == nil || err.Error() != "metrics.bind: cannot listen on "+bind+want {
			t.Errorf("%s: got %v, want %s", bind, err, want)
		}
	}
}
