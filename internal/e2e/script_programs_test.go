package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"nomadctld/internal/testenv"
)

// pollTimeout is the time that scripts wait for a state of the cluster.
const pollTimeout = 60 * time.Second

func poll(ts *testscript.TestScript, state string, check func() error) {
	for end := time.Now().Add(pollTimeout); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("timed out waiting until %s: %v", state, err)
		}
	}
}

// until implements the script command until.
func until(ts *testscript.TestScript, _ bool, args []string) {
	poll(ts, strings.Join(args, " ")+" succeeds", func() error { return ts.Exec(args[0], args[1:]...) })
}

// answerPrompt implements the script command prompt.
func answerPrompt(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	cmd := scriptProgram(ts, args[2:])
	var stdout, stderr testenv.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	defer cmd.Process.Kill()
	poll(ts, "it prints "+args[0], func() error {
		select {
		case <-exited:
			ts.Fatalf("it exited: %s%s", stdout.String(), stderr.String())
		default:
		}
		if !pattern.MatchString(stdout.String()) {
			return fmt.Errorf("so far %q", stdout.String())
		}
		return nil
	})
	_, err = io.WriteString(stdin, args[1])
	ts.Check(err)
	<-exited
	fmt.Fprintf(ts.Stdout(), "%scode=%d\n", stdout.String(), cmd.ProcessState.ExitCode())
	io.WriteString(ts.Stderr(), stderr.String())
}

// scriptProgram returns a program that runs in the directory of a script and with its environment.
func scriptProgram(ts *testscript.TestScript, args []string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "SSH", "WORK"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	return cmd
}

// keepsRunning implements the script command keepsrunning.
func keepsRunning(ts *testscript.TestScript, _ bool, args []string) {
	var written [2]*os.File
	for i, name := range []string{"running.out", "running.err"} {
		file, err := os.Create(ts.MkAbs(name))
		ts.Check(err)
		defer file.Close()
		written[i] = file
	}
	cmd := scriptProgram(ts, args[2:])
	cmd.Stdout, cmd.Stderr = written[0], written[1]
	ts.Check(cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	defer cmd.Process.Kill()
	poll(ts, "it prints "+args[0]+" and "+args[1], func() error {
		select {
		case err := <-exited:
			ts.Fatalf("it exited, %v: %s", err, ts.ReadFile("running.err"))
		default:
		}
		for i, file := range written {
			if text := ts.ReadFile(filepath.Base(file.Name())); !regexp.MustCompile(args[i]).MatchString(text) {
				return fmt.Errorf("so far %q", text)
			}
		}
		return nil
	})
	select {
	case err := <-exited:
		ts.Fatalf("it exited, %v: %s", err, ts.ReadFile("running.err"))
	case <-time.After(2 * time.Second):
	}
}

// viaSocket is viasocket PATH: a program that sends a request to the socket in NOMAD_ADDR, as nomad does.
func viaSocket() {
	socket, _ := strings.CutPrefix(os.Getenv("NOMAD_ADDR"), "unix://")
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn,
		error,
	) {
		return net.Dial("unix", socket)
	}}}
	response, err := client.Get("http://127.0.0.1" + os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	io.Copy(os.Stdout, response.Body)
}
