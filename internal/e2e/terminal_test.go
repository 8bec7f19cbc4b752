package e2e

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is a program on a pseudo-terminal.
type terminal struct {
	*exec.Cmd
	t    *testing.T
	file *os.File
	seen bytes.Buffer
}

func onTerminal(t *testing.T, cmd *exec.Cmd, columns, rows uint16) *terminal {
	t.Helper()
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: columns, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	// pty sets the file to blocking mode, in which reads ignore deadlines.
	fd, err := syscall.Dup(int(file.Fd()))
	file.Close()
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	pollable := os.NewFile(uintptr(fd), "terminal")
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); pollable.Close() })
	return &terminal{Cmd: cmd, t: t, file: pollable}
}

func (c *terminal) send(keys string) { io.WriteString(c.file, keys) }

// expect waits for text, and returns the output between the previously expected text and this one.
func (c *terminal) expect(text string) (before string) {
	c.t.Helper()
	c.file.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 4<<10)
	for {
		if before, after, found := strings.Cut(c.seen.String(), text); found {
			c.seen.Reset()
			c.seen.WriteString(after)
			return before
		}
		n, err := c.file.Read(buf)
		c.seen.Write(buf[:n])
		if err != nil {
			if strings.Contains(c.seen.String(), text) {
				continue
			}
			c.t.Fatalf("%v; want %q, got %q", err, text, c.seen.String())
		}
	}
}

// waitExit waits until the program exits, and returns its exit code and the rest of its output.
func (c *terminal) waitExit() (code int, rest string) {
	c.file.SetReadDeadline(time.Now().Add(20 * time.Second))
	io.Copy(&c.seen, c.file)
	c.Wait()
	return c.ProcessState.ExitCode(), c.seen.String()
}

// untilSize returns a shell command that waits until the terminal has the size, up to 30 seconds, and prints the size.
func untilSize(want string) string {
	return `i=0; while [ $i -lt 300 ] && [ "$(stty size)" != "` + want + `" ]; do sleep 0.1; i=$((i+1)); done; stty size`
}
