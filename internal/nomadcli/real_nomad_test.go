package nomadcli

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"nomadctld/internal/testenv/nomadtest"
)

func realNomad(t *testing.T) string {
	t.Helper()
	path := nomadtest.Binary()
	if path == "" {
		t.Skip(nomadtest.NoBinary)
	}
	return path
}

// nomadOutput returns the binary's combined output. The binary has no cluster and an empty environment.
func nomadOutput(t *testing.T, nomad string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), nomad, args...)
	cmd.Env = []string{"NOMAD_ADDR=http://127.0.0.1:1"}
	cmd.Dir = t.TempDir()
	out, _ := cmd.CombinedOutput() // the help of groups exits with an error code
	return string(out)
}

var (
	listed  = regexp.MustCompile(`(?m)^    ([a-z][a-z-]*)\s{2,}\S`)
	flagsIn = regexp.MustCompile(`(?m)^\s{1,4}-([A-Za-z0-9][a-z0-9-]*)`)
)

// nomadHelp returns the help of every command that the binary lists.
func nomadHelp(t *testing.T, nomad string) map[string]string {
	t.Helper()
	all := map[string]string{}
	var visit func(path []string)
	visit = func(path []string) {
		text := nomadOutput(t, nomad, append(slices.Clone(path), "-help")...)
		all[strings.Join(path, " ")] = text
		section := text
		if len(path) > 0 {
			_, section, _ = strings.Cut(text, "\nSubcommands:\n")
		}
		for _, m := range listed.FindAllStringSubmatch(section, -1) {
			visit(append(slices.Clone(path), m[1]))
		}
	}
	visit(nil)
	return all
}

func TestRealNomad_EveryFlagHasARule(t *testing.T) {
	t.Parallel()
	nomad := realNomad(t)
	all := nomadHelp(t, nomad)
	if len(all) < 150 {
		t.Fatalf("got %d commands, want more than 150; is the help still parsed correctly?", len(all))
	}
	commonKinds := flagKinds(commonFlags)
	for path, help := range all {
		if path == "" {
			continue
		}
		c := command{}
		rest, err := c.parseName(strings.Fields(path))
		if err != nil || len(rest) > 0 && c.rule.refused == "" {
			t.Errorf("nomad %s: got no rule, want one", path)
			continue
		}
		if c.rule.refused != "" {
			continue
		}
		own := flagKinds(c.rule.flags)
		_, general, _ := strings.Cut(help, "General Options:")
		for _, m := range flagsIn.FindAllStringSubmatch(general, -1) {
			name := m[1]
			_, a := own[name]
			_, b := commonKinds[name]
			_, r := refusedAnywhere[name]
			_, u := refusedFlags[name]
			if !a && !b && !r && !u {
				t.Errorf("nomad %s -%s: got no rule, want one", path, name)
			}
		}
	}
}

// TestRealNomad_FlagKinds: with a wrong kind, parse would confuse values and arguments.
func TestRealNomad_FlagKinds(t *testing.T) {
	t.Parallel()
	nomad := realNomad(t)
	type trial struct{ path, flag, kind string }
	trials := make(chan trial)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for c := range trials {
				// An invalid boolean and a missing value are different errors.
				words := append(strings.Fields(c.path), "-"+c.flag)
				want := "flag needs an argument: -" + c.flag
				if c.kind == "" {
					words[len(words)-1] += "=neither"
					want = `invalid boolean value "neither" for -` + c.flag
				}
				if got := nomadOutput(t, nomad, words...); !strings.Contains(got, want) {
					t.Errorf("nomad %q: got %q, want %q in it", words, got[max(0, len(got)-200):], want)
				}
			}
		})
	}
	for path, r := range rules {
		if r.refused != "" || r.group || r.aliasOf != "" {
			continue
		}
		for flag, kind := range flagKinds(r.flags) {
			if flag != "it" && flag != "ti" {
				trials <- trial{path, flag, kind}
			}
		}
	}
	for flag, kind := range flagKinds(commonFlags) {
		if flag != "h" && flag != "help" {
			trials <- trial{"job status", flag, kind}
		}
	}
	close(trials)
	all.Wait()
}

// TestRealNomad_JSONJobReadsNoFile: a job in JSON is data. HCL functions in it stay text.
func TestRealNomad_JSONJobReadsNoFile(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	b := Binary{Path: realNomad(t)}
	job := `{"Job":{"ID":"${file(\"/etc/passwd\")}","Type":"batch"}}`
	code, err := b.Run(t.Context(), Cluster{URL: "http://127.0.0.1:1"}, []string{"job", "run", "-output", "-json", "-"},
		strings.NewReader(job), &stdout, &stderr, nil)
	if want := `"ID": "${file(\"/etc/passwd\")}"`; err != nil || code != 0 || !strings.Contains(stdout.String(), want) {
		t.Errorf("got %d, %v, %q, %q; want %q in it", code, err, stdout.String(), stderr.String(), want)
	}
}

func TestRealNomad_Runs(t *testing.T) {
	t.Parallel()
	b := Binary{Path: realNomad(t)}
	for line, want := range map[string]string{
		"version": "Nomad v", "-version": "Nomad v",
		"job status -h": "Usage: nomad job status",
	} {
		var stdout, stderr bytes.Buffer
		code, err := b.Run(t.Context(), Cluster{URL: "http://127.0.0.1:1"}, strings.Fields(line), nil, &stdout, &stderr, nil)
		if err != nil || code != 0 || !strings.HasPrefix(stdout.String(), want) {
			t.Errorf("%s: got %d, %v, %q, %q; want %q first", line, code, err, stdout.String(), stderr.String(), want)
		}
	}
}
