// Package smalldisk gives a test a small file system that it can fill. It needs root and either a loop device with
// mkfs.ext4 or tmpfs. Otherwise it skips the test.
package smalldisk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const size = 1 << 20

// Mount returns the directory of a file system of one megabyte. It is unmounted after the test.
func Mount(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	loopErr := os.WriteFile(image, make([]byte, size), 0o600)
	for _, command := range [][]string{
		{"mkfs.ext4", "-q", "-O", "^has_journal", image},
		{"mount", "-o", "loop", image, dir},
	} {
		if loopErr == nil {
			loopErr = exec.Command(command[0], command[1:]...).Run()
		}
	}
	if loopErr != nil {
		if err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "none", dir).Run(); err != nil {
			t.Skipf("cannot mount a small file system: loop device: %v; tmpfs: %v", loopErr, err)
		}
		t.Logf("using tmpfs instead of ext4: %v", loopErr)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// Fill fills the file system. Only the last blocks of existing files may have space left.
func Fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := 4096; chunk > 0; {
		if _, err := f.Write(make([]byte, chunk)); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			chunk /= 2
		}
	}
}
