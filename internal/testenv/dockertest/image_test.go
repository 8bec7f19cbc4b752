package dockertest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// copyDynamicProgram copies a dynamically linked program of the machine to path, or skips the test.
func copyDynamicProgram(t *testing.T, path string) {
	t.Helper()
	for _, name := range []string{"sh", "ls", "cat"} {
		source, err := exec.LookPath(name)
		if err != nil || isStatic(source) {
			continue
		}
		program, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, program, 0o755); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Skip("no dynamically linked program on PATH")
}

func TestBusybox_DynamicSkipped(t *testing.T) {
	found, err := busybox()
	if err != nil {
		t.Skipf("%v: %s", err, busyboxHint)
	}
	dir := t.TempDir()
	copyDynamicProgram(t, filepath.Join(dir, "busybox"))
	if path, err := findStatic([]string{dir}); !errors.Is(err, errNoBusybox) {
		t.Errorf("only a dynamic one: got %q, %v, want none", path, err)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+filepath.Dir(found))
	if path, err := busybox(); err != nil || filepath.Dir(path) == dir {
		t.Errorf("a dynamic one first on PATH: got %q, %v, want the static one", path, err)
	}
	t.Setenv("NOMADCTLD_TEST_BUSYBOX", filepath.Join(dir, "busybox"))
	if path, err := busybox(); !errors.Is(err, errNoBusybox) {
		t.Errorf("NOMADCTLD_TEST_BUSYBOX is dynamic: got %q, %v, want it refused", path, err)
	}
	t.Setenv("NOMADCTLD_TEST_BUSYBOX", found)
	if path, err := busybox(); err != nil || path != found {
		t.Errorf("NOMADCTLD_TEST_BUSYBOX: got %q, %v, want %s", path, err, found)
	}
}
