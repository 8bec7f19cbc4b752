package dockertest

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	docker "github.com/fsouza/go-dockerclient"
)

const (
	repository = "nomadctld-test/busybox"
	tag        = "1" // increment when archive changes
)

// BareImage returns the name of an image that contains only /bin/busybox: no shell and no other applet.
func BareImage(t testing.TB) string {
	t.Helper()
	Image(t) // skips the test without busybox
	client := Client(t)
	const bare = "nomadctld-test/bare"
	importMu.Lock()
	defer importMu.Unlock()
	if _, err := client.InspectImage(bare + ":" + tag); err == nil {
		return bare + ":" + tag
	}
	path, err := busybox()
	if err != nil { // Image may be from an earlier run
		t.Skipf("%v: %s", err, busyboxHint)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	w.WriteHeader(&tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))})
	w.Write(program)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	err = client.ImportImage(docker.ImportImageOptions{
		Repository: bare, Tag: tag, Source: "-", InputStream: &packed, OutputStream: io.Discard,
	})
	if err != nil {
		t.Fatalf("image %s: %v", bare, err)
	}
	return bare + ":" + tag
}

// Image returns the name of an image with busybox and all its applets on PATH. It is made from the machine's busybox,
// so no registry is needed. It stays in the daemon for later tests.
func Image(t testing.TB) string {
	t.Helper()
	client := Client(t)
	err := importImage(client)
	if errors.Is(err, errNoBusybox) {
		t.Skipf("%v: %s", err, busyboxHint)
	}
	if err != nil {
		t.Fatalf("image %s: %v", repository, err)
	}
	return repository + ":" + tag
}

var (
	errNoBusybox = errors.New("no statically linked busybox")
	importMu     sync.Mutex // held while an image is imported
)

// importImage creates Image unless the daemon already has it.
func importImage(client *docker.Client) error {
	importMu.Lock()
	defer importMu.Unlock()
	_, err := client.InspectImage(repository + ":" + tag)
	if !errors.Is(err, docker.ErrNoSuchImage) {
		return err
	}
	path, err := busybox()
	if err != nil {
		return err
	}
	content, err := archive(path)
	if err != nil {
		return err
	}
	return client.ImportImage(docker.ImportImageOptions{
		Repository: repository, Tag: tag, Source: "-", InputStream: content, OutputStream: io.Discard,
	})
}

const busyboxHint = "apt-get install busybox-static, or set NOMADCTLD_TEST_BUSYBOX to one"

// busybox returns the path of a statically linked busybox: NOMADCTLD_TEST_BUSYBOX, or the first on PATH and in the
// usual directories. The first busybox on PATH may be dynamically linked.
func busybox() (string, error) {
	if path := os.Getenv("NOMADCTLD_TEST_BUSYBOX"); path != "" {
		if !isStatic(path) {
			return "", fmt.Errorf("%w: NOMADCTLD_TEST_BUSYBOX is %s", errNoBusybox, path)
		}
		return path, nil
	}
	dirs := append(filepath.SplitList(os.Getenv("PATH")),
		"/bin", "/usr/bin", "/usr/lib/initramfs-tools/bin", "/usr/lib/klibc/bin")
	return findStatic(dirs)
}

// findStatic returns the first static busybox in dirs.
func findStatic(dirs []string) (string, error) {
	for _, dir := range dirs {
		for _, name := range []string{"busybox", "busybox.static", "busybox-static"} {
			if path := filepath.Join(dir, name); isStatic(path) {
				return path, nil
			}
		}
	}
	return "", errNoBusybox
}

// isStatic reports whether a program needs neither a loader nor shared libraries.
func isStatic(path string) bool {
	file, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return false
		}
	}
	libraries, err := file.ImportedLibraries()
	return err == nil && len(libraries) == 0
}

// archive packs busybox, a link for each applet, and the few files that programs expect.
func archive(busybox string) (io.Reader, error) {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --list: %w", busybox, err)
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	add := func(h tar.Header, content []byte) {
		h.Size = int64(len(content))
		if err == nil {
			err = w.WriteHeader(&h)
		}
		if err == nil {
			_, err = w.Write(content)
		}
	}
	for name, mode := range map[string]int64{"bin/": 0o755, "etc/": 0o755, "root/": 0o700, "tmp/": 0o1777} {
		add(tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: mode}, nil)
	}
	add(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, program)
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			add(tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}, nil)
		}
	}
	add(tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644},
		[]byte("root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"))
	add(tar.Header{Name: "etc/group", Typeflag: tar.TypeReg, Mode: 0o644}, []byte("root:x:0:\nnogroup:x:65534:\n"))
	if err == nil {
		err = w.Close()
	}
	return &packed, err
}
