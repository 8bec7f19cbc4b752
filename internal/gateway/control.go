package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"nomadctld/internal/safego"
)

// ControlRequest is what nomadctld sends to a running gateway, as one JSON object.
type ControlRequest struct {
	Command string        // reload or drain
	Wait    time.Duration // drain: how long to wait until nothing is running; 0: do not wait
}

// controlResponse is the gateway's response, as one JSON object.
type controlResponse struct {
	Lines []string // the result
	Error []string // why the command failed, one line each
}

const (
	controlTimeout    = 5 * time.Second // for a client to send its request, and for the gateway to accept it
	maxControlMessage = 1 << 20
)

// listenControl listens on the unix socket of general.control, or returns nil if the path is empty. It replaces the
// socket of a gateway that was killed.
func listenControl(path string) (net.Listener, error) {
	if path == "" {
		return nil, nil
	}
	failed := func(err error) error { return fmt.Errorf("general.control: %w", err) }
	l, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		switch info, statErr := os.Lstat(path); {
		case statErr != nil:
			return nil, failed(statErr)
		case info.Mode()&fs.ModeSocket == 0:
			return nil, failed(fmt.Errorf("%s exists and is not a socket; choose another path", path))
		}
		if conn, dialErr := net.DialTimeout("unix", path, controlTimeout); !errors.Is(dialErr, syscall.ECONNREFUSED) {
			if dialErr == nil {
				conn.Close()
			}
			return nil, failed(fmt.Errorf("another gateway uses %s; choose another path", path))
		}
		os.Remove(path)
		l, err = net.Listen("unix", path)
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return nil, failed(fmt.Errorf("cannot listen on %s: %w; its directory must exist and be writable by the "+
			"gateway's user", path, op.Err))
	} else if err != nil {
		return nil, failed(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, failed(err)
	}
	return l, nil
}

// serveControl serves the control socket until ctx ends.
func (g *Gateway) serveControl(ctx context.Context) {
	if g.control == nil {
		return
	}
	defer context.AfterFunc(ctx, func() { g.control.Close() })()
	for {
		conn, err := g.control.Accept()
		if err != nil {
			if ctx.Err() == nil {
				g.log.Error("cannot serve the control socket any more", "error", err)
			}
			return
		}
		go func() {
			defer conn.Close()
			if err := safego.Protect(func() error { return g.handleControl(ctx, conn) }); err != nil {
				g.log.Warn("control socket: request failed", "error", err)
			}
		}()
	}
}

// handleControl handles the request of a client. When the client disconnects, it stops waiting.
func (g *Gateway) handleControl(ctx context.Context, conn net.Conn) error {
	if err := checkPeer(conn); err != nil {
		return err
	}
	conn.SetReadDeadline(time.Now().Add(controlTimeout))
	var request ControlRequest
	if err := json.NewDecoder(io.LimitReader(conn, maxControlMessage)).Decode(&request); err != nil {
		return err
	}
	conn.SetReadDeadline(time.Time{})
	ctx, disconnected := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, conn)
		disconnected()
	}()
	conn.SetWriteDeadline(time.Time{})
	return json.NewEncoder(conn).Encode(g.runControl(ctx, request))
}

func (g *Gateway) runControl(ctx context.Context, request ControlRequest) controlResponse {
	switch request.Command {
	case "reload":
		result, err := g.Reload("nomadctld reload")
		return reloadResponse(result, err)
	case "drain":
		g.Drain("nomadctld drain")
		if request.Wait == 0 {
			return controlResponse{Lines: []string{"draining: the gateway accepts no new connections and commands"}}
		}
		ctx, stop := context.WithTimeout(ctx, request.Wait)
		defer stop()
		if g.WaitDrained(ctx) != nil {
			return controlResponse{Error: []string{
				fmt.Sprintf("commands or restarts are still running after %s; wait again, or stop the gateway", request.Wait),
			}}
		}
		return controlResponse{Lines: []string{"drained: nothing is running; the gateway can be stopped"}}
	}
	return controlResponse{Error: []string{"the running gateway does not know this command; restart it after an upgrade"}}
}

// reloadResponse describes the result of a reload.
func reloadResponse(r Reloaded, err error) (response controlResponse) {
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
		response.Error = refused.Diagnostics
	} else if err != nil {
		response.Error = []string{err.Error()}
	}
	if err != nil {
		response.Error = append(response.Error, "not reloaded; the earlier configuration stays in effect")
		return response
	}
	response.Lines = []string{"reloaded: " + r.Summary}
	for _, change := range firstChanges(r.Changes) {
		response.Lines = append(response.Lines, "change: "+change)
	}
	if len(r.Changes) == 0 {
		response.Lines = append(response.Lines, "change: none")
	}
	if r.Stopped > 0 {
		response.Lines = append(response.Lines, fmt.Sprintf("stopped commands that lost access: %d", r.Stopped))
	}
	for _, name := range r.NeedRestart {
		response.Lines = append(response.Lines, "needs a restart: "+name)
	}
	return response
}
