package demo

import (
	"context"
	"errors"
	"io"

	"golang.org/x/crypto/ssh"
)

// Run runs one command as wim over a real SSH connection and returns its exit code. When ctx ends, the command is
// interrupted. If the command wants a terminal and stdin and stdout are one, the session gets a PTY.
func (d *Demo) Run(ctx context.Context, command []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	conn, err := ssh.Dial("tcp", d.Address, &ssh.ClientConfig{
		User:            "wim",
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(d.keys["wim"])},
		HostKeyCallback: ssh.FixedHostKey(d.keys[hostKey].PublicKey()),
	})
	if err != nil {
		return 1, err
	}
	defer conn.Close()
	session, err := conn.NewSession()
	if err != nil {
		return 1, err
	}
	if wantsTerminal(command[0]) {
		restore, err := attachTerminal(session, stdin, stdout)
		if err != nil {
			return 1, err
		}
		defer restore()
	}
	session.Stdout, session.Stderr = stdout, stderr
	input, err := session.StdinPipe() // with session.Stdin, Run would also wait for the end of stdin
	if err != nil {
		return 1, err
	}
	go func() {
		io.Copy(input, stdin)
		input.Close()
	}()
	stop := context.AfterFunc(ctx, func() { session.Signal(ssh.SIGINT) })
	defer stop()
	err = session.Run(quote(command))
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return exit.ExitStatus(), nil
	}
	return 0, err
}
