package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"nomadctld/internal/gateway"
	"nomadctld/internal/linequeue"
)

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
	g.Metrics.SetVersion(version())
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
