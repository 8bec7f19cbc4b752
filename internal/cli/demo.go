package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"nomadctld/internal/demo"
)

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
