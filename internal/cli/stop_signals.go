package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyStop returns a channel of the signals that stop the gateway. It has room for two, so that a second signal is
// not lost if it arrives before the first one was handled.
func notifyStop() <-chan os.Signal {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	return signals
}

// handleStop calls stop at the first signal, and exit with the exit code of a killed process at the second one.
func handleStop(signals <-chan os.Signal, stop func(os.Signal), exit func(code int)) {
	stop(<-signals)
	second := <-signals
	code := 128
	if number, ok := second.(syscall.Signal); ok {
		code += int(number)
	}
	// As the first process of a container, the gateway cannot kill itself with a signal that it does not handle.
	exit(code)
}
