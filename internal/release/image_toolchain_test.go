package release

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	docker "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/dockertest"
)

// The Dockerfile needs an image with Go. To work without a registry, goImage builds one from this machine's Go and
// modules.

const (
	goRepository = "nomadctld-test/go"

	// It compiles the dependencies with the flags of the Dockerfile, so that they are compiled only once.
	goDockerfile = `FROM %s
COPY . /
ENV PATH=/usr/local/go/bin:/bin GOPATH=/go GOTOOLCHAIN=local GOPROXY=file:///proxy GONOSUMDB=*
WORKDIR /warm
RUN go mod download && CGO_ENABLED=0 go build -trimpath -buildvcs=false %s
`
)

// goImage returns the name of an image with Go and a shell. The image stays in the daemon for the next test run. It
// replaces images with other versions of Go or of the modules.
func goImage(t *testing.T, client *docker.Client) string {
	t.Helper()
	base := dockertest.Image(t)
	root := output(t, "go", "env", "GOROOT")
	if program, err := elf.Open(filepath.Join(root, "bin/go")); err != nil ||
		slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Skipf("%s/bin/go is not static (%v), so it cannot run in an image: see https://go.dev/doc/install", root, err)
	}
	if text, err := exec.Command("go", "mod", "download").CombinedOutput(); err != nil {
		t.Skipf("cannot get the modules: go mod download: %v: %s", err, text)
	}
	listed := output(t, "env", "CGO_ENABLED=0", "go", "list", "-deps", "-f",
		"{{if .Module}}{{if not .Module.Main}}{{.ImportPath}}{{end}}{{end}}", ".")
	libraries := strings.Join(slices.DeleteFunc(strings.Fields(listed),
		func(p string) bool { return strings.Contains(p, "/internal/") }), " ")
	dockerfile := fmt.Sprintf(goDockerfile, base, libraries)
	sums := testenv.ReadFile(t, "go.sum")
	tag := fmt.Sprintf("%x", sha256.Sum256([]byte(output(t, "go", "version")+dockerfile+sums)))[:12]
	name := goRepository + ":" + tag
	if _, err := client.InspectImage(name); err == nil {
		return name
	}
	old, err := client.ListImages(docker.ListImagesOptions{Filters: map[string][]string{"reference": {goRepository}}})
	if err != nil {
		t.Fatal(err)
	}
	content, packing := io.Pipe()
	go func() { packing.CloseWithError(packGo(packing, root, dockerfile)) }()
	buildImage(t, client, docker.BuildImageOptions{Name: name, InputStream: content})
	for _, image := range old {
		client.RemoveImage(image.ID) // best effort; fails for an image in use
	}
	return name
}

// packGo writes the build context of goDockerfile: Go without its tests, the modules in the layout of a proxy, and
// certificates.
func packGo(w io.Writer, root, dockerfile string) error {
	packed := tar.NewWriter(w)
	text := func(name, content string) error {
		err := packed.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))})
		_, writeErr := io.WriteString(packed, content)
		return errors.Join(err, writeErr)
	}
	file := func(path, name string) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return text(name, string(content))
	}
	errs := []error{
		text("Dockerfile", dockerfile),
		text("etc/ssl/certs/ca-certificates.crt", "# certificates of the machine that builds\n"),
		file("go.mod", "warm/go.mod"), file("go.sum", "warm/go.sum"),
		text("usr/local/go/go.env", "GOPROXY=off\n"),
	}
	for _, name := range []string{"bin/go", "pkg/tool", "pkg/include", "src", "VERSION"} {
		errs = append(errs, filepath.WalkDir(filepath.Join(root, name),
			func(path string, entry fs.DirEntry, err error) error {
				switch {
				case err != nil:
					return err
				case entry.IsDir() && entry.Name() == "testdata":
					return fs.SkipDir
				case !entry.Type().IsRegular() || strings.HasSuffix(path, "_test.go"):
					return nil
				}
				content, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				to, err := filepath.Rel(root, path)
				header := &tar.Header{Name: "usr/local/go/" + to, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))}
				err = errors.Join(err, packed.WriteHeader(header))
				_, writing := packed.Write(content)
				return errors.Join(err, writing)
			}))
	}
	toProxy := func(path, name string) error { return file(path, "proxy/"+name) }
	errs = append(errs, forEachProxyFile(toProxy), packed.Close())
	return errors.Join(errs...)
}

// forEachProxyFile calls add for each file that a proxy for this module needs, with its path there.
func forEachProxyFile(add func(path, name string) error) error {
	list, err := exec.Command("go", "mod", "download", "-json").Output()
	if err != nil {
		return fmt.Errorf("go mod download: %w", err)
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return err
	}
	proxy := filepath.Join(strings.TrimSpace(string(cache)), "cache/download")
	var files []string
	for decoder := json.NewDecoder(bytes.NewReader(list)); decoder.More(); {
		var module struct{ Info, GoMod, Zip string }
		if err := decoder.Decode(&module); err != nil {
			return err
		}
		files = append(files, module.Info, module.GoMod, module.Zip)
	}
	// To resolve the versions, Go also reads the go.mod of other modules.
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(sums)) {
		fields := strings.Fields(line)
		if version, ok := strings.CutSuffix(fields[1], "/go.mod"); ok {
			files = append(files, filepath.Join(proxy, escapeModule(fields[0]), "@v", version+".mod"))
		}
	}
	slices.Sort(files)
	for _, path := range slices.Compact(files) {
		name, err := filepath.Rel(proxy, path)
		if err != nil {
			return err
		}
		if _, missing := os.Stat(path); missing != nil {
			continue // not needed on this machine either
		}
		if err := add(path, name); err != nil {
			return err
		}
	}
	return nil
}

// escapeModule escapes a module path for file systems that ignore case.
func escapeModule(path string) string {
	var b strings.Builder
	for _, c := range path {
		if 'A' <= c && c <= 'Z' {
			b.WriteByte('!')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// inRoot makes a test part of make release-test, and runs it in the root directory.
func inRoot(t *testing.T) {
	t.Helper()
	testenv.Release(t)
	t.Chdir(testenv.Root(t))
}

// output returns the output of a program. If the program does not exist, the test is skipped.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("no %s on PATH", name)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(text))
}
