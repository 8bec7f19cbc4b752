package deploy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// promtool returns the program that checks the rules, or skips the test.
func promtool(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool on PATH: apt-get install prometheus")
	}
	return path
}

func TestDeployAlerts_Fire(t *testing.T) {
	t.Parallel()
	program := promtool(t)
	for _, args := range [][]string{
		{"check", "rules", "nomadctld-alerts.yml"}, {"test", "rules", "../testdata/alerts/alerts.test.yml"},
	} {
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	cases := testenv.ReadFile(t, "../testdata/alerts/alerts.test.yml")
	for _, alert := range regexp.MustCompile(`- alert: (\S+)`).FindAllStringSubmatch(
		testenv.ReadFile(t, "nomadctld-alerts.yml"), -1) {
		if !strings.Contains(cases, "alertname: "+alert[1]+"\n") || !strings.Contains(cases, "alertname: "+alert[1]+",") {
			t.Errorf("%s: want a case in which it fires, and one in which it does not", alert[1])
		}
	}
	broken := filepath.Join(t.TempDir(), "broken.yml")
	if err := os.WriteFile(broken, []byte("groups: [{name: x, rules: [{alert: X, expr: 'sum('}]}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "check", "rules", broken).CombinedOutput(); err == nil {
		t.Errorf("a broken rule was accepted: %s", out)
	}
}

// dashboard has the parts of the dashboard that the tests read.
type dashboard struct {
	Panels []struct {
		Type, Title string
		Targets     []struct{ Expr string }
	}
}

// queries returns the queries of the dashboard, by panel.
func queries(t *testing.T) map[string][]string {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(testenv.ReadFile(t, "nomadctld-dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, p := range d.Panels {
		if p.Type == "row" {
			continue
		}
		if all[p.Title] != nil || len(p.Targets) == 0 {
			t.Errorf("panel %q: got %d targets, want some, and a title of its own", p.Title, len(p.Targets))
		}
		for _, target := range p.Targets {
			all[p.Title] = append(all[p.Title], target.Expr)
		}
	}
	return all
}

// TestDeployDashboard_ValidQueries checks the queries as recording rules.
func TestDeployDashboard_ValidQueries(t *testing.T) {
	t.Parallel()
	program := promtool(t)
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, exprs := range queries(t) {
		for _, expr := range exprs {
			expr = strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(expr)
			rules = append(rules, rule{fmt.Sprintf("query_%d", len(rules)), expr})
		}
	}
	if len(rules) < 15 {
		t.Errorf("got %d queries", len(rules))
	}
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yml") // JSON is YAML
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("got %v: %s", err, out)
	}
}

var seriesPattern = regexp.MustCompile(`\b(?:nomadctld|process|go)_[a-z0-9_]+\b`)

// TestDeployMetrics_Exist checks that a gateway has every series that the alerts, the dashboard and the docs name, and
// that the docs name every series of its own.
func TestDeployMetrics_Exist(t *testing.T) {
	t.Parallel()
	g := gatewaytest.Start(t, nomadtest.Simulated(t).URL, `metrics.bind = "127.0.0.1:0"`)
	gatewaytest.RunLine(t, g.Dial(t, "wim"), "ps")
	response, err := http.Get("http://" + g.Metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]string{} // type by name
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(string(body), -1) {
		families[m[1]] = m[2]
	}
	missing := func(text string) (names []string) {
		for _, name := range seriesPattern.FindAllString(text, -1) {
			base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			if families[name] == "" && families[base] != "histogram" {
				names = append(names, name)
			}
		}
		return names
	}
	docs := testenv.ReadFile(t, "../docs/operations.md")
	for name, text := range map[string]string{
		"the alerts": testenv.ReadFile(t, "nomadctld-alerts.yml"), "operations.md": docs,
		"the tests of the alerts": testenv.ReadFile(t, "../testdata/alerts/alerts.test.yml"),
		"the dashboard":           testenv.ReadFile(t, "nomadctld-dashboard.json"),
	} {
		if names := missing(text); len(names) > 0 {
			t.Errorf("%s: no such series: %q", name, names)
		}
	}
	if names := missing("rate(nomadctld_no_such_total[5m])"); !slices.Equal(names, []string{"nomadctld_no_such_total"}) {
		t.Errorf("a series that does not exist: got %q", names)
	}
	for name := range families {
		if strings.HasPrefix(name, "nomadctld_") && !strings.Contains(docs, "`"+name+"`") {
			t.Errorf("operations.md does not describe %s", name)
		}
	}
}
