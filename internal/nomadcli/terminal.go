//go:build linux

package nomadcli

import (
	"fmt"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a new pseudo-terminal of the client's size.
func openTerminal(t *Terminal) (ours, program *os.File, err error) {
	opened, program, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer opened.Close()
	// pty.Open leaves its file blocking, and closing that would not end a Read.
	fd, err := unix.FcntlInt(opened.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		program.Close()
		return nil, nil, fmt.Errorf("a terminal: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		program.Close()
		return nil, nil, fmt.Errorf("a terminal: %w", err)
	}
	ours = os.NewFile(uintptr(fd), opened.Name())
	setSize(ours, t)
	return ours, program, nil
}

// forwardResizes hands on changes of size until the end.
func forwardResizes(f *os.File, t *Terminal, end <-chan struct{}) {
	for {
		select {
		case <-end:
			return
		case _, ok := <-t.Resized:
			if !ok {
				return
			}
			setSize(f, t)
		}
	}
}

func setSize(f *os.File, t *Terminal) {
	if t.Size == nil {
		return
	}
	columns, rows := t.Size()
	if columns <= 0 || rows <= 0 || columns > 1<<16-1 || rows > 1<<16-1 {
		return
	}
	// Not Fd, which would make the file blocking. A size that is not taken is the old one still.
	if c, err := f.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) {
			unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(columns)})
		})
	}
}
