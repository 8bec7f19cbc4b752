// Package testenv is for tests: it decides to which level a test belongs, and has what the tests of several packages
// need. The packages below it provide real programs: an SSH gateway, Nomad, Docker.
package testenv

import (
	"os"
	"strings"
	"testing"
)

// E2E skips a test with -short, which make test sets. Call it in a test that uses a real Docker daemon or a real Nomad,
// or that takes more than a few seconds.
func E2E(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped with -short: make e2e runs it")
	}
}

// Release skips a test that builds releases or images, except in make release-test.
func Release(t testing.TB) {
	t.Helper()
	if os.Getenv("NOMADCTLD_TEST") != "release" {
		t.Skip("builds a release: make release-test runs it")
	}
}

// Soak skips a test that takes minutes, except in make soak. Its name must contain Soak, by which make soak selects it.
func Soak(t testing.TB) {
	t.Helper()
	if !strings.Contains(t.Name(), "Soak") {
		t.Fatal("the name of the test must contain Soak")
	}
	if os.Getenv("NOMADCTLD_TEST") != "soak" {
		t.Skip("takes minutes: make soak runs it")
	}
}

// NoRace skips a test under the race detector, which needs several times the memory and time. reason is why the test is
// useless then.
func NoRace(t testing.TB, reason string) {
	t.Helper()
	if Race {
		t.Skip("skipped under the race detector:", reason)
	}
}
