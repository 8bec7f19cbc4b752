package release

import (
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"nomadctld/internal/testenv"
)

// TestDist_IsReproducible builds a release twice, in directories with different names. Tests that build are not
// parallel, because other tests would time out while the compiler runs.
func TestDist_IsReproducible(t *testing.T) {
	inRoot(t)
	for _, tool := range []string{"make", "go", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on PATH", tool)
		}
	}
	var sums []string
	for _, name := range []string{"a", "another directory"} {
		dir := filepath.Join(t.TempDir(), name)
		copySource(t, dir)
		makeIn(t, dir, "dist", "VERSION=v1.2.3-test")
		sums = append(sums, testenv.ReadFile(t, filepath.Join(dir, "dist/SHA256SUMS")))
		for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
			file := filepath.Join(dir, "dist/nomadctld-linux-"+arch)
			binary, err := elf.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			dynamic, _ := binary.ImportedLibraries()
			if binary.Machine != machine || len(dynamic) > 0 ||
				slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
				t.Errorf("%s: got a binary for %s that needs %q, want a static one for %s", arch, binary.Machine, dynamic, machine)
			}
			binary.Close()
			if text := testenv.ReadFile(t, file); strings.Contains(text, dir) {
				t.Errorf("the binary contains the path %s", dir)
			}
		}
		if runtime.GOOS == "linux" {
			if got, want := output(t, filepath.Join(dir, "dist/nomadctld-linux-"+runtime.GOARCH), "version"),
				"nomadctld v1.2.3-test"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	if sums[0] != sums[1] || !regexp.MustCompile(`^[0-9a-f]{64}  nomadctld-linux-amd64\n[0-9a-f]{64}  `+
		`nomadctld-linux-arm64\n$`).MatchString(sums[0]) {
		t.Errorf("got\n%sand\n%swant equal checksums", sums[0], sums[1])
	}
}

// TestVersion_NamesItsSource runs make build and go build in a new repository.
func TestVersion_NamesItsSource(t *testing.T) {
	inRoot(t)
	for _, tool := range []string{"make", "go", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on PATH", tool)
		}
	}
	dir := filepath.Join(t.TempDir(), "clone")
	copySource(t, dir)
	git := func(args ...string) string {
		return output(t, "git", append([]string{
			"-C", dir, "-c", "user.name=test", "-c", "user.email=test@example.org",
			"-c", "commit.gpgsign=false",
		}, args...)...)
	}
	git("init", "--quiet")
	git("add", "--all")
	git("commit", "--quiet", "--message=all")
	git("tag", "v0.9.0")
	version := func() string {
		makeIn(t, dir, "build")
		return output(t, filepath.Join(dir, "nomadctld"), "version")
	}
	if got, want := version(), "nomadctld v0.9.0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := version(), "nomadctld v0.9.0-dirty"; got != want {
		t.Errorf("after a change: got %q, want %q", got, want)
	}
	// Without the Makefile, the version comes from Go.
	build := exec.Command("go", "build", "-buildvcs=true", "-o", "nomadctld", ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := output(t, filepath.Join(dir, "nomadctld"), "version"); !strings.HasPrefix(got, "nomadctld v0.9.0") ||
		!strings.Contains(got, "dirty") {
		t.Errorf("go build: got %q, want the tag and dirty", got)
	}
}

func makeIn(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("make", args...)
	cmd.Dir = dir
	// Without the settings of the make that runs the tests.
	for _, setting := range os.Environ() {
		if name, _, _ := strings.Cut(setting, "="); !strings.HasPrefix(name, "MAKE") && name != "VERSION" &&
			name != "MFLAGS" {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// copySource copies the files from which a release is built.
func copySource(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			switch path {
			case ".git", "bin", "dist", "testdata", "tools":
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, path), 0o700)
		}
		// In a worktree, .git is a file, and a copy would be the same repository.
		if path == ".git" || path == "nomadctld" || strings.HasSuffix(path, "_test.go") || !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, path), content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
