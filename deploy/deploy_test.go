package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/nomadtest"
)

// Tests of the files in deploy, with the programs that read them.

func TestMain(m *testing.M) {
	code := m.Run()
	nomadtest.StopAgent()
	os.Exit(code)
}

func TestDeployUnit_ValidAndHardened(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze on PATH: apt-get install systemd")
	}
	// systemd-analyze checks that the program of the unit exists, so use this one.
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "nomadctld.service")
	text := strings.ReplaceAll(testenv.ReadFile(t, "nomadctld.service"), "/usr/local/bin/nomadctld", program)
	verify := func(text string) (string, error) {
		if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
		return string(out), err
	}
	if out, err := verify(text); err != nil || strings.Contains(out, "nomadctld.service") {
		t.Errorf("got %v: %s", err, out)
	}
	if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20",
		unit).CombinedOutput(); err != nil {
		if strings.Contains(string(out), "unrecognized option") {
			t.Skip("this version of systemd-analyze cannot rate a unit file")
		}
		t.Errorf("exposure above 2.0 of 10: %v: %s", err, out[max(0, len(out)-200):])
	}
	if out, _ := verify(text + "\n[Service]\nNoSuchKey=yes\n"); !strings.Contains(out, "NoSuchKey") {
		t.Errorf("an unknown key was accepted: %s", out)
	}
}

// TestDeploy_MemoryLimits checks that GOMEMLIMIT is below the memory limit, with room for memory outside of Go's heap.
func TestDeploy_MemoryLimits(t *testing.T) {
	t.Parallel()
	for file, patterns := range map[string][3]string{
		"nomadctld.service": {
			`(?m)^MemoryMax=(\d+)M$`, `(?m)^Environment=GOMEMLIMIT=(\d+)MiB$`,
			`(?m)^TasksMax=(\d+)$`,
		},
		"nomadctld.nomad.hcl": {
			`(?m)^\s+memory = (\d+)$`, `(?m)^\s+GOMEMLIMIT = "(\d+)MiB"$`,
			`(?m)^\s+pids_limit += (\d+)$`,
		},
	} {
		var numbers [3]int
		for i, pattern := range patterns {
			found := regexp.MustCompile(pattern).FindAllStringSubmatch(testenv.ReadFile(t, file), -1)
			if len(found) != 1 {
				t.Fatalf("%s: got %q for %s, want one", file, found, pattern)
			}
			numbers[i], _ = strconv.Atoi(found[0][1])
		}
		if memory, limit := numbers[0], numbers[1]; limit*10 > memory*8 || limit*2 < memory {
			t.Errorf("%s: got GOMEMLIMIT %d of %d MiB, want half to four fifths", file, limit, memory)
		}
	}
}

// TestDeploy_Signals checks that every file stops the gateway with SIGTERM, and reloads its configuration instead of
// restarting it.
func TestDeploy_Signals(t *testing.T) {
	t.Parallel()
	for file, patterns := range map[string][]string{
		"nomadctld.service": {
			`(?m)^KillSignal=SIGTERM$`,
			`(?m)^ExecReload=/usr/local/bin/nomadctld -config /etc/nomadctld/nomadctld.toml reload$`,
			`(?m)^RuntimeDirectory=nomadctld$`,
		},
		"nomadctld.nomad.hcl": {
			`kill_signal +=\s"SIGTERM"`, `nomadctld.toml"(?s:[^}]*)change_signal = "SIGHUP"`,
			`secrets/hostkey"(?s:[^}]*)change_signal = "SIGHUP"`,
		},
		"../Dockerfile": {`STOPSIGNAL SIGTERM`},
	} {
		text := testenv.ReadFile(t, file)
		for _, pattern := range patterns {
			if !regexp.MustCompile(pattern).MatchString(text) {
				t.Errorf("%s: want a match of %s", file, pattern)
			}
		}
		if strings.Contains(text, `change_mode   = "restart"`) {
			t.Errorf("%s: a changed file restarts the gateway, want a reload", file)
		}
	}
}

func TestDeployJob_Validates(t *testing.T) {
	t.Parallel()
	if nomadtest.Binary() == "" {
		t.Skip("no nomad binary: set NOMADCTLD_TEST_NOMAD, or put one on PATH")
	}
	cluster := nomadtest.Real(t)
	validate := func(file string) (string, error) {
		cmd := exec.Command(nomadtest.Binary(), "job", "validate", "-var", "image=nomadctld:test", file)
		cmd.Env = append(os.Environ(), "NOMAD_ADDR="+cluster.URL, "NOMAD_TOKEN="+nomadtest.Token)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := validate("nomadctld.nomad.hcl"); err != nil || strings.Contains(out, "arning") ||
		!strings.Contains(out, "validation successful") {
		t.Errorf("got %v: %s", err, out)
	}
	broken := filepath.Join(t.TempDir(), "broken.nomad.hcl")
	text := strings.Replace(testenv.ReadFile(t, "nomadctld.nomad.hcl"), "kill_timeout", "no_such_key", 1)
	if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := validate(broken); err == nil {
		t.Errorf("an unknown key was accepted: %s", out)
	}
	if out, err := exec.Command(nomadtest.Binary(), "fmt", "-check", ".").CombinedOutput(); err != nil {
		t.Errorf("not formatted with nomad fmt: %s", out)
	}
}
