package config

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

func remove(names ...string) func(*testing.T) {
	return func(t *testing.T) {
		for _, name := range names {
			fatal(t, os.RemoveAll(name))
		}
	}
}

// TestLoad_UnusablePaths has paths with which a gateway would not start, or raw would not work.
func TestLoad_UnusablePaths(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*testing.T)
		want   string // all diagnostics
		loads  bool
	}{
		"audit directory missing": {remove("log"), `nomadctld.toml:17:8: audit.file: directory "log" does not exist; ` +
			`create it: mkdir -m 700 "log", owned by the gateway's user`, false},
		"audit directory is a file": {func(t *testing.T) {
			remove("log")(t)
			fatal(t, os.WriteFile("log", nil, 0o600))
		}, `nomadctld.toml:17:8: audit.file: "log" is not a directory; name a file in a directory`, false},
		"audit file is a directory": {func(t *testing.T) {
			remove("log/audit.jsonl")(t)
			fatal(t, os.Mkdir("log/audit.jsonl", 0o700))
		}, `nomadctld.toml:17:8: audit.file: "log/audit.jsonl" is a directory; name a file in it`, false},
		"audit file is a FIFO": {func(t *testing.T) {
			remove("log/audit.jsonl")(t)
			fatal(t, syscall.Mkfifo("log/audit.jsonl", 0o600))
		}, `nomadctld.toml:17:8: audit.file: "log/audit.jsonl" is not a regular file; ` +
			`name a regular file, or "-" for standard output`, false},
		"audit file is a link": {func(t *testing.T) {
			fatal(t, os.Rename("log/audit.jsonl", "log/elsewhere"))
			fatal(t, os.Symlink("elsewhere", "log/audit.jsonl"))
		}, `nomadctld.toml:17:8: audit.file: "log/audit.jsonl" is not a regular file; ` +
			`name a regular file, or "-" for standard output`, false},
		"audit file does not exist yet": {remove("log/audit.jsonl"), "", true},
		"no nomad binary": {remove("nomad"), `nomadctld.toml:3:15: warning: general.nomadbinary: "nomad" does not exist, ` +
			`so raw does not work; install it, correct the path, or remove the line`, true},
		"nomad binary is a directory": {func(t *testing.T) {
			remove("nomad")(t)
			fatal(t, os.Mkdir("nomad", 0o700))
		}, `nomadctld.toml:3:15: warning: general.nomadbinary: "nomad" is not a file, so raw does not work; ` +
			`install it, correct the path, or remove the line`, true},
		"nomad binary not executable": {
			chmod(map[string]os.FileMode{"nomad": 0o600}),
			`nomadctld.toml:3:15: warning: general.nomadbinary: "nomad" is not executable, so raw does not work; ` +
				`chmod a+rx "nomad"`, true,
		},
		"no host key": {remove("hostkey"), `nomadctld.toml:2:11: general.hostkey: file "hostkey" does not exist; ` +
			`create it: ssh-keygen -t ed25519 -N '' -f "hostkey"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			writeAccessFiles(t, accessConfig)
			tc.change(t)
			cfg, diagnostics := load("nomadctld.toml", nil, ordinaryUser())
			if got := strings.TrimSpace(diagnosticLines(diagnostics)); got != tc.want || (cfg != nil) != tc.loads {
				t.Errorf("got:\n%s\nwant:\n%s\nloads: %t", got, tc.want, cfg != nil)
			}
		})
	}
}

// TestLoad_UnwritablePaths needs a user who is not root. A test of internal/cli checks the same as root, with setuid.
func TestLoad_UnwritablePaths(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write every file")
	}
	for name, tc := range map[string]struct {
		modes map[string]os.FileMode
		want  string
		loads bool
	}{
		"audit file": {map[string]os.FileMode{"log/audit.jsonl": 0o400}, `file "log/audit.jsonl" cannot be written`, false},
		"jobs":       {map[string]os.FileMode{"jobs": 0o500}, `the gateway cannot create files in directory "jobs"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			writeAccessFiles(t, accessConfig)
			chmod(tc.modes)(t)
			cfg, diagnostics := load("nomadctld.toml", nil, ordinaryUser())
			if got := diagnosticLines(diagnostics); !strings.Contains(got, tc.want) || (cfg != nil) != tc.loads {
				t.Errorf("got:\n%s\nwant %q, loads: %t", got, tc.want, tc.loads)
			}
		})
	}
}
