package docker

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nomadctld/internal/tlsfiles"
)

func mustOpen(t *testing.T, s Settings) *Docker {
	t.Helper()
	d, err := Open(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func inspect(t *testing.T, s Settings, task, allocation string) (json.RawMessage, error) {
	t.Helper()
	return inspectAt(t, s, Node{Name: "node-1", Address: "127.0.0.1"}, task, allocation)
}

func inspectAt(t *testing.T, s Settings, node Node, task, allocation string) (json.RawMessage, error) {
	t.Helper()
	d := mustOpen(t, s)
	defer d.CloseIdle() // the test servers wait for idle connections
	return d.Inspect(t.Context(), node, task, allocation)
}

func TestDaemonDown_ErrorHidesAddress(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for host, want := range map[string]string{
		"tcp://" + closed.Addr().String():                     "connection refused",
		"unix://" + filepath.Join(t.TempDir(), "docker.sock"): "no such file or directory",
		"tcp://{node}.invalid":                                "the name of the node cannot be resolved",
	} {
		_, err := inspect(t, Settings{Host: host}, "web", "1")
		want := "the Docker daemon of node node-1 cannot be reached: " + want
		if !errors.Is(err, ErrUnreachable) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", host, err, want)
		}
	}
}

// silentDaemon accepts connections and sends nothing.
func silentDaemon(t *testing.T) Settings {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return Settings{Host: "tcp://" + listener.Addr().String()}
}

func TestDaemonHangs_TimesOut(t *testing.T) {
	const want = "the Docker daemon of node node-1 cannot be reached: no response in time"
	for name, withShortTimeout := range map[string]func(*Docker) (context.Context, context.CancelFunc){
		"by itself": func(d *Docker) (context.Context, context.CancelFunc) {
			d.timeouts.response = 50 * time.Millisecond
			return context.WithCancel(t.Context())
		},
		"by the caller": func(*Docker) (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 50*time.Millisecond)
		},
	} {
		d := mustOpen(t, silentDaemon(t))
		ctx, cancel := withShortTimeout(d)
		defer cancel()
		start := time.Now()
		_, err := d.Inspect(ctx, Node{Name: "node-1"}, "web", "1")
		if took := time.Since(start); took > 30*time.Second || !errors.Is(err, ErrUnreachable) || err.Error() != want {
			t.Errorf("%s: got %v after %s, want %s", name, err, took, want)
		}
	}
}

func TestRequestCanceled_ReturnsCause(t *testing.T) {
	cause := errors.New("the session ended")
	for name, end := range map[string]func() (context.Context, context.CancelFunc){
		"cancelled": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
			return ctx, func() { cancel(nil) }
		},
		"timeout": func() (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
		},
	} {
		ctx, cancel := end()
		defer cancel()
		start := time.Now()
		_, err := mustOpen(t, silentDaemon(t)).Inspect(ctx, Node{Name: "node-1"}, "web", "1")
		if took := time.Since(start); !errors.Is(err, cause) || errors.Is(err, ErrUnreachable) ||
			took > 30*time.Second {
			t.Errorf("%s: got %v after %s, want %v", name, err, took, cause)
		}
	}
}

func TestContainer_MatchedByNameAndLabel(t *testing.T) {
	for _, c := range []struct {
		name, allocation, label, task string
		want                          bool
	}{
		{"/web-1", "1", "", "web", true},
		{"/web-1", "2", "", "web", false},
		{"/web-1", "", "", "web", false},
		{"/web-1", "1", "db", "web", true},       // a job may set the label to any value
		{"/sidecar-1", "1", "web", "web", false}, // such as the name of another task
		{"/web-12", "1", "", "web", false},
		{"/old-web-1", "1", "", "web", false},
		{"/renamed", "1", "web", "web", true},
		{"/renamed", "1", "", "web", false},
		{"/renamed", "2", "web", "web", false},
		{"/nomad_init_1", "1", "", "web", false},
		{"/a_b-1", "1", "", "a/b", true},
	} {
		var is containerIdentity
		is.Name = c.name
		is.Config.Labels = map[string]string{}
		if c.allocation != "" {
			is.Config.Labels[allocationLabel] = c.allocation
		}
		if c.label != "" {
			is.Config.Labels[taskLabel] = c.label
		}
		if got := is.belongsTo(c.task, "1"); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

func TestReopen(t *testing.T) {
	first := mustOpen(t, Settings{Host: "tcp://{node}"})
	for _, tc := range []struct {
		settings Settings
		same     bool
	}{
		{Settings{Host: "tcp://{node}"}, true},
		{Settings{Host: "tcp://{address}"}, false},
		{Settings{Host: "tcp://{node}", API: "1.44"}, false},
	} {
		if got, err := Reopen(first, tc.settings); (got == first) != tc.same || err != nil {
			t.Errorf("%+v: got the same Docker: %v, %v", tc.settings, got == first, err)
		}
	}
	missing := tlsfiles.Files{CA: filepath.Join(t.TempDir(), "missing")}
	if _, err := Reopen(first, Settings{Host: "tcp://{node}", TLS: missing}); err == nil {
		t.Error("opened with a missing CA file")
	}
}
