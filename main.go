// Command nomadctld is an SSH gateway to Nomad clusters: with plain ssh a team lists, reads, enters, stops and
// restarts the jobs it owns, and nothing else.
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
	"strings"
	"syscall"

	"nomadctld/config"
	"nomadctld/internal/demo"
	"nomadctld/internal/gateway"
)

const usage = `usage: nomadctld [-config FILE]            serve
       nomadctld [-config FILE] check      say what is wrong with the configuration, or that nothing is
       nomadctld demo [COMMAND...]         try it: a gateway to three simulated clusters; COMMAND runs just that
       nomadctld version

  -config FILE   the configuration; else ./nomadctld.toml, else /etc/nomadctld/nomadctld.toml
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
		return complain(2, "%v\n%s", err, strings.TrimSpace(usage))
	}
	switch command := flags.Arg(0); {
	case command == "demo":
		return runDemo(flags.Args()[1:])
	case flags.NArg() > 1:
		return complain(2, "%s takes no arguments\n%s", command, strings.TrimSpace(usage))
	case command == "":
		return serve(*file)
	case command == "check":
		return check(*file)
	case command == "version":
		fmt.Println("nomadctld", version())
		return 0
	case command == "help":
		fmt.Print(usage)
		return 0
	default:
		return complain(2, "no command %q\n%s", command, strings.TrimSpace(usage))
	}
}

// load reads the configuration and prints its faults; nil means that it was refused.
func load(file string) *config.Config {
	path, err := config.Find(file)
	if err != nil {
		complain(1, "%v", err)
		return nil
	}
	c, faults := config.Load(path, gateway.Commands())
	for _, fault := range faults {
		fmt.Fprintln(os.Stderr, fault)
	}
	return c
}

func check(file string) int {
	c := load(file)
	if c == nil {
		return 1
	}
	fmt.Printf("%s: %s\n", c.Path, c.Summary())
	return 0
}

func serve(file string) int {
	c := load(file)
	if c == nil {
		return 1
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	g, err := gateway.Listen(c, log)
	if err != nil {
		return complain(1, "%v", err)
	}
	log.Info("serving", "address", g.Addr().String(), "config", c.Path, "loaded", c.Summary(), "version", version())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := g.Serve(ctx); err != nil {
		return complain(1, "%v", err)
	}
	log.Info("stopped")
	return 0
}

func runDemo(command []string) int {
	dir, err := os.MkdirTemp("", "nomadctld-demo-")
	if err != nil {
		return complain(1, "demo: %v", err)
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	d, err := demo.Start(dir)
	if err != nil {
		return complain(1, "demo: %v", err)
	}
	defer d.Close()
	if len(command) > 0 {
		code, err := d.Run(ctx, demo.Quote(command), os.Stdin, os.Stdout, os.Stderr)
		if err != nil {
			return complain(1, "demo: %v", err)
		}
		return code
	}
	fmt.Print(d.Invitation())
	<-ctx.Done()
	return 0
}

// complain prints an error for people and returns the exit code.
func complain(code int, format string, args ...any) int {
	fmt.Fprintf(os.Stderr, "nomadctld: "+format+"\n", args...)
	return code
}

// version is the module's version, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			return "devel " + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return info.Main.Version
}
