package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
)

// listen listens on the address of general.bind. Its error names that setting.
func listen(bind string) (net.Listener, error) {
	l, err := net.Listen("tcp", bind)
	if err != nil {
		return nil, fmt.Errorf("general.bind: cannot listen on %w", explainListen(bind, err))
	}
	return l, nil
}

// explainListen returns the address, the reason and the next step.
func explainListen(bind string, err error) error {
	var hint string
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "; stop the other program, or choose another port"
	case errors.Is(err, syscall.EACCES):
		hint = "; choose a port above 1023, or grant CAP_NET_BIND_SERVICE"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "; the address does not belong to this machine"
	case errors.Is(err, fs.ErrNotExist):
		hint = "; create the directory of the socket"
	}
	var reason error = err
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		reason = op.Err
	}
	return fmt.Errorf("%s: %w%s", bind, reason, hint)
}
