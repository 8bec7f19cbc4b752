// Command nomadctld is an SSH gateway to Nomad. With plain ssh, a team lists its own jobs, reads their logs, opens
// shells in them, and stops or restarts them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"
	"time"

	"nomadctld/config"
	"nomadctld/internal/demo"
	"nomadctld/internal/gateway"
	"nomadctld/internal/health"
	"nomadctld/internal/linequeue"
)

const usageLine = "Usage: nomadctld [-config FILE] [COMMAND]"

const usage = usageLine + `

Serve an SSH gateway to Nomad, or run a command.

Commands:
  check              check the configuration and report errors
  health             check whether the gateway responds on this machine
  demo [COMMAND...]  serve a gateway to three simulated clusters, or run one
                     command on it
  version            print the version
  help               print this help

Flags:
  -config FILE  configuration file (default ./nomadctld.toml, else
                /etc/nomadctld/nomadctld.toml)

Examples:
  nomadctld -config ./nomadctld.toml check
  nomadctld demo
  nomadctld demo ps mattermost
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	flags := flag.NewFlagSet("nomadctld", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("config", "", "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		return 0
	} else if err != nil {
		return fail(2, "%v\n%s (see: nomadctld -h)", err, usageLine)
	}
	switch command := flags.Arg(0); {
	case command == "demo":
		return runDemo(flags.Args()[1:])
	case flags.NArg() > 1:
		return fail(2, "%s takes no arguments\n%s (see: nomadctld -h)", command, usageLine)
	case command == "":
		return serve(*file)
	case command == "check":
		return checkConfig(*file)
	case command == "health":
		return checkHealth(*file)
	case command == "version":
		fmt.Println("nomadctld", version())
		return 0
	case command == "help":
		fmt.Print(usage)
		return 0
	default:
		return fail(2, "unknown command %q\n%s (see: nomadctld -h)", command, usageLine)
	}
}

// loadConfig loads the configuration and prints the diagnostics. It returns nil if there was an error.
func loadConfig(file string) *config.Config {
	path, err := config.Find(file)
	if err != nil {
		fail(1, "%v%s", err, containerHint())
		return nil
	}
	c, diagnostics := config.Load(path, gateway.Commands())
	for _, d := range diagnostics {
		fmt.Fprintln(os.Stderr, d)
	}
	return c
}

// containerHint returns the next step in a container of the project's image, where the steps in the error of
// config.Find do not apply.
func containerHint() string {
	if os.Getenv("NOMADCTLD_CONTAINER") == "" { // the Dockerfile sets it
		return ""
	}
	return "\nin a container, mount a directory with nomadctld.toml and its keys and tokens, readable by user " +
		strconv.Itoa(os.Getuid()) + ":\n  docker run -v /etc/nomadctld:/etc/nomadctld:ro -p 2222:2222 IMAGE"
}

// checkHealth prints whether the gateway of the configuration responds.
func checkHealth(file string) int {
	path, err := config.Find(file)
	if err != nil {
		return fail(1, "%v", err)
	}
	c, diagnostics := config.Load(path, gateway.Commands())
	if c == nil {
		i := slices.IndexFunc(diagnostics, func(d config.Diagnostic) bool { return !d.Warning })
		return fail(1, "%s", diagnostics[i])
	}
	address, banner, err := health.Check(context.Background(), c.General.Bind)
	if err != nil {
		return fail(1, "%v", err)
	}
	fmt.Println(address, "responds:", banner)
	return 0
}

func checkConfig(file string) int {
	c := loadConfig(file)
	if c == nil {
		return 1
	}
	if err := gateway.Check(c); err != nil {
		return fail(1, "%s: %v", c.Path, err)
	}
	fmt.Printf("%s: %s\n", c.Path, c.Summary())
	return 0
}

func serve(file string) int {
	c := loadConfig(file)
	if c == nil {
		return 1
	}
	// A write to a closed pipe must fail, not kill the gateway. Notify instead of Ignore, which child processes
	// inherit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	stream := linequeue.Stderr()
	stream.DropReport = lostLinesMessage
	defer stream.Flush(time.Second)
	log := slog.New(slog.NewTextHandler(stream, nil))
	warnOnHangup(log)
	g, err := gateway.Listen(c, log)
	if err != nil {
		return fail(1, "%v", err)
	}
	log.Info("serving", "address", g.Addr().String(), "config", c.Path, "loaded", c.Summary(), "version", version())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills the process
	if err := g.Serve(ctx); err != nil {
		return fail(1, "%v", err)
	}
	log.Info("stopped")
	return 0
}

// warnOnHangup logs a warning on SIGHUP instead of exiting. Operators send it to reload a configuration, and an exit
// would close all sessions.
func warnOnHangup(log *slog.Logger) {
	if signal.Ignored(syscall.SIGHUP) { // by nohup
		return
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			log.Warn("got SIGHUP: reload is not supported yet; restart to apply changes")
		}
	}()
}

// lostLinesMessage is the log line about lines that standard error did not accept in time.
func lostLinesMessage(n int) []byte {
	const format = "time=%s level=ERROR msg=\"log lines lost: standard error was not read in time\" lines=%d\n"
	return fmt.Appendf(nil, format,
		time.Now().Format(time.RFC3339Nano), n)
}

func runDemo(command []string) int {
	dir, err := os.MkdirTemp("", "nomadctld-demo-")
	if err != nil {
		return fail(1, "demo: %v", err)
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop() // only at the end, so that a second signal does not skip the cleanup of tasks and keys
	d, err := demo.Start(dir)
	if err != nil {
		return fail(1, "demo: %v", err)
	}
	defer d.Close()
	if len(command) > 0 {
		code, err := d.Run(ctx, command, os.Stdin, os.Stdout, os.Stderr)
		if err != nil {
			return fail(1, "demo: %v", err)
		}
		return code
	}
	fmt.Print(d.Instructions())
	<-ctx.Done()
	return 0
}

// fail prints an error and returns the exit code.
func fail(code int, format string, args ...any) int {
	fmt.Fprintf(os.Stderr, "nomadctld: "+format+"\n", args...)
	return code
}

// stamp is the output of git describe, which the Makefile sets at build time.
var stamp string

// version returns the stamp, the module's version, or the commit, with "dirty" if files were changed after it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	switch {
	case stamp != "":
		return stamp
	case !ok:
		return "unknown"
	case info.Main.Version != "(devel)":
		return info.Main.Version // go build derives it from the last tag and the commit, with +dirty
	}
	var revision, dirty string
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			revision = " " + setting.Value[:min(12, len(setting.Value))]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			dirty = " dirty"
		}
	}
	return "devel" + revision + dirty
}
