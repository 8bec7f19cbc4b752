package demo

import (
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"nomadctld/router"
)

// wantsTerminal reports whether a command prefers a terminal.
func wantsTerminal(name string) bool {
	return slices.ContainsFunc(router.Specs(), func(s router.Spec) bool { return s.Name == name && s.WantsTerminal })
}

// attachTerminal requests a PTY for the session if stdin and stdout are a terminal, and makes that terminal raw, like
// ssh -t. It forwards changes of the terminal's size. restore resets the terminal.
func attachTerminal(session *ssh.Session, stdin io.Reader, stdout io.Writer) (restore func(), err error) {
	in, _ := stdin.(*os.File)
	out, _ := stdout.(*os.File)
	if in == nil || out == nil || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return func() {}, nil
	}
	columns, rows, err := term.GetSize(int(out.Fd()))
	if err != nil {
		return nil, err
	}
	if err := session.RequestPty(os.Getenv("TERM"), rows, columns, nil); err != nil {
		return nil, err
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	go func() {
		for range resized {
			if columns, rows, err := term.GetSize(int(out.Fd())); err == nil {
				session.WindowChange(rows, columns)
			}
		}
	}()
	return func() {
		signal.Stop(resized)
		close(resized)
		term.Restore(int(in.Fd()), before)
	}, nil
}
