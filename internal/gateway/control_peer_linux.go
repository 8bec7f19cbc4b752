package gateway

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// checkPeer returns an error unless the client of a unix socket is root or the gateway's user. The mode of the socket
// also ensures that, but it is set only after the socket was created.
func checkPeer(conn net.Conn) error {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var peer *syscall.Ucred
	var failure error
	err = raw.Control(func(fd uintptr) {
		peer, failure = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	switch {
	case err != nil:
		return err
	case failure != nil:
		return failure
	case peer.Uid != 0 && int(peer.Uid) != os.Geteuid():
		return fmt.Errorf("user %d may not use the control socket", peer.Uid)
	}
	return nil
}
