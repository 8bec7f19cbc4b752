package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Condition is something that a gateway needs in order to serve commands.
type Condition struct {
	Name  string
	Check func() error
	// Optional reports whether commands also run without it. If so, it does not make the gateway unready. nil: commands
	// need it.
	Optional func() bool
}

// Handler serves /metrics, /healthz, which succeeds while the process responds, and /readyz, which succeeds if every
// condition holds that is not optional. /readyz lists the conditions, one per line.
func Handler(metrics http.Handler, conditions ...Condition) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		status, text := readiness(conditions)
		writeText(w, status, text)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusOK, "nomadctld: /metrics /healthz /readyz\n")
	})
	return mux
}

// readiness returns the response of /readyz.
func readiness(conditions []Condition) (status int, text string) {
	status = http.StatusOK
	var b strings.Builder
	for _, c := range conditions {
		err := c.Check()
		switch {
		case err == nil:
			fmt.Fprintf(&b, "%s: ok\n", c.Name)
		case c.Optional != nil && c.Optional():
			fmt.Fprintf(&b, "%s: %v (not required)\n", c.Name, err)
		default:
			fmt.Fprintf(&b, "%s: %v\n", c.Name, err)
			status = http.StatusServiceUnavailable
		}
	}
	return status, b.String()
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// Serve serves HTTP on l until ctx ends. It returns nil afterwards, or the error of the listener.
func Serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, MaxHeaderBytes: 8 << 10,
		ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(newLimitedListener(l)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
