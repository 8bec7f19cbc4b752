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

// flushTimeout bounds the wait for standard error to accept the last log lines.
const flushTimeout = time.Second

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
	defer stream.Flush(flushTimeout)
	log := slog.New(slog.NewTextHandler(stream, nil))
	control := notifyControl() // before the gateway listens, so that no signal kills it
	g, err := gateway.Listen(c, log)
	if err != nil {
		return fail(1, "%v", err)
	}
	for _, key := range g.HostKeys() {
		log.Info("host key", "fingerprint", key.Fingerprint, "type", key.Type, "file", key.File)
	}
	g.Metrics.SetVersion(version())
	log.Info("serving", "address", g.Addr().String(), "config", c.Path, "loaded", c.Summary(), "version", version())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go handleStop(notifyStop(), func(s os.Signal) {
		log.Info("stopping", "signal", s.String(), "grace", gateway.ShutdownGrace.String())
		stop()
	}, func(code int) {
		log.Warn("exiting without waiting for commands: got a second signal")
		stream.Flush(flushTimeout)
		os.Exit(code)
	})
	go handleControl(ctx, control, g)
	if err := g.Serve(ctx); err != nil {
		return fail(1, "%v", err)
	}
	log.Info("stopped")
	return 0
}

// lostLinesMessage is the log line about lines that standard error did not accept in time.
func lostLinesMessage(n int) []byte {
	const format = "time=%s level=ERROR msg=\"log lines lost: standard error was not read in time\" lines=%d\n"
	return fmt.Appendf(nil, format,
		time.Now().Format(time.RFC3339Nano), n)
}
