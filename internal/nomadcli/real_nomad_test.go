package nomadcli

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

func realNomad(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("NOMADCTLD_TEST_NOMAD"); path != "" {
		return path
	}
	path, err := exec.LookPath("nomad")
	if err != nil {
		t.Skip("no nomad binary: set NOMADCTLD_TEST_NOMAD to one, or put one on PATH")
	}
	return path
}

// says returns all that the binary writes; without a cluster and an environment it can reach nothing.
func says(t *testing.T, nomad string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), nomad, args...)
	cmd.Env = []string{"NOMAD_ADDR=http://127.0.0.1:1"}
	cmd.Dir = t.TempDir()
	out, _ := cmd.CombinedOutput() // help of groups ends with a code
	return string(out)
}

var (
	listed  = regexp.MustCompile(`(?m)^    ([a-z][a-z-]*)\s{2,}\S`)
	flagsIn = regexp.MustCompile(`(?m)^\s{1,4}-([A-Za-z0-9][a-z0-9-]*)`)
)

// helps returns the help of every command that the binary lists.
func helps(t *testing.T, nomad string) map[string]string {
	t.Helper()
	all := map[string]string{}
	var visit func(path []string)
	visit = func(path []string) {
		text := says(t, nomad, append(slices.Clone(path), "-help")...)
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

func TestEveryCommandAndFlagOfARealNomadHasARule(t *testing.T) {
	t.Parallel()
	nomad := realNomad(t)
	all := helps(t, nomad)
	if len(all) < 150 {
		t.Fatalf("got %d commands, want more than 150: is the help still read right?", len(all))
	}
	commonKinds := kinds(common)
	for path, help := range all {
		if path == "" {
			continue
		}
		c := command{}
		rest, err := c.name(strings.Fields(path))
		if err != nil || len(rest) > 0 && c.rule.refused == "" {
			t.Errorf("nomad %s: got no rule, want one", path)
			continue
		}
		if c.rule.refused != "" {
			continue
		}
		own := kinds(c.rule.flags)
		_, general, _ := strings.Cut(help, "General Options:")
		for _, m := range flagsIn.FindAllStringSubmatch(general, -1) {
			name := m[1]
			_, a := own[name]
			_, b := commonKinds[name]
			_, r := notYours[name]
			_, u := refusedFlags[name]
			if !a && !b && !r && !u {
				t.Errorf("nomad %s -%s: got no rule, want one", path, name)
			}
		}
	}
}

// A flag whose kind is wrong in the table would make a value of a word, or a word of a value.
func TestARealNomadTakesFlagsAsTheTableSays(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("hundreds of processes")
	}
	nomad := realNomad(t)
	type trial struct{ path, flag, kind string }
	trials := make(chan trial)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for c := range trials {
				// A bad value of a bool is an error of its own, and so is a value that is missing.
				words := append(strings.Fields(c.path), "-"+c.flag)
				want := "flag needs an argument: -" + c.flag
				if c.kind == "" {
					words[len(words)-1] += "=neither"
					want = `invalid boolean value "neither" for -` + c.flag
				}
				if got := says(t, nomad, words...); !strings.Contains(got, want) {
					t.Errorf("nomad %q: got %q, want %q in it", words, got[max(0, len(got)-200):], want)
				}
			}
		})
	}
	for path, r := range table {
		if r.refused != "" || r.group || r.as != "" {
			continue
		}
		for flag, kind := range kinds(r.flags) {
			if flag != "it" && flag != "ti" {
				trials <- trial{path, flag, kind}
			}
		}
	}
	for flag, kind := range kinds(common) {
		if flag != "h" && flag != "help" {
			trials <- trial{"job status", flag, kind}
		}
	}
	close(trials)
	all.Wait()
}

// A job in JSON is data: what would be a function in HCL stays text.
func TestARealNomadReadsNoFileForAJobInJSON(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	b := Binary{Path: realNomad(t)}
	job := `{"Job":{"ID":"${file(\"/etc/passwd\")}","Type":"batch"}}`
	code, err := b.Run(t.Context(), Cluster{URL: "http://127.0.0.1:1"}, []string{"job", "run", "-output", "-json", "-"}, strings.NewReader(job), &stdout, &stderr, nil)
	if want := `"ID": "${file(\"/etc/passwd\")}"`; err != nil || code != 0 || !strings.Contains(stdout.String(), want) {
		t.Errorf("got %d, %v, %q, %q; want %q in it", code, err, stdout.String(), stderr.String(), want)
	}
}

func TestARealNomadRuns(t *testing.T) {
	t.Parallel()
	b := Binary{Path: realNomad(t)}
	for line, want := range map[string]string{"version": "Nomad v", "-version": "Nomad v", "job status -h": "Usage: nomad job status"} {
		var stdout, stderr bytes.Buffer
		code, err := b.Run(t.Context(), Cluster{URL: "http://127.0.0.1:1"}, strings.Fields(line), nil, &stdout, &stderr, nil)
		if err != nil || code != 0 || !strings.HasPrefix(stdout.String(), want) {
			t.Errorf("%s: got %d, %v, %q, %q; want %q first", line, code, err, stdout.String(), stderr.String(), want)
		}
	}
}
