package demo

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Users are the logins of the demo: one that sees everything and one of a team.
var Users = []string{"wim", "ann"}

// client is a throw-away key pair.
type client struct{ signer ssh.Signer }

func (c client) public() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(c.signer.PublicKey())))
}

// writeKeys makes the host's key and one for each user.
func (d *Demo) writeKeys() error {
	for name, file := range map[string]string{"host": "hostkey", "wim": "wim", "ann": "ann"} {
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return err
		}
		block, err := ssh.MarshalPrivateKey(private, "nomadctld demo")
		if err != nil {
			return err
		}
		if err := os.WriteFile(d.path(file), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
		signer, err := ssh.NewSignerFromKey(private)
		if err != nil {
			return err
		}
		d.clients[name] = client{signer}
	}
	return nil
}

// Run runs one command line as wim, through a real SSH connection, and returns its exit code.
func (d *Demo) Run(line string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	conn, err := ssh.Dial("tcp", d.Address, &ssh.ClientConfig{
		User:            "wim",
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(d.clients["wim"].signer)},
		HostKeyCallback: ssh.FixedHostKey(d.clients["host"].signer.PublicKey()),
	})
	if err != nil {
		return 1, err
	}
	defer conn.Close()
	session, err := conn.NewSession()
	if err != nil {
		return 1, err
	}
	session.Stdout, session.Stderr = stdout, stderr
	input, err := session.StdinPipe() // with session.Stdin, Run would wait for the end of stdin too
	if err != nil {
		return 1, err
	}
	go func() {
		io.Copy(input, stdin)
		input.Close()
	}()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	go func() {
		if _, ok := <-interrupts; ok {
			session.Signal(ssh.SIGINT)
		}
	}()
	err = session.Run(line)
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return exit.ExitStatus(), nil
	}
	return 0, err
}
