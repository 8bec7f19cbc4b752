//go:build linux

package nomadcli

import (
	"fmt"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a new pseudo-terminal with the client's size.
func openTerminal(t *Terminal) (gateway, program *os.File, err error) {
	opened, program, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer opened.Close()
	// pty.Open returns a blocking file, and closing that does not interrupt a Read.
	fd, err := unix.FcntlInt(opened.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		program.Close()
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		program.Close()
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	gateway = os.NewFile(uintptr(fd), opened.Name())
	setSize(gateway, t)
	return gateway, program, nil
}

// forwardResizes applies changes of the client's terminal size until the program has exited.
func forwardResizes(f *os.File, t *Terminal, exited <-chan struct{}) {
	for {
		select {
		case <-exited:
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
	// Fd would make the file blocking. If the ioctl fails, the terminal keeps its old size.
	if c, err := f.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) {
			unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(columns)})
		})
	}
}
