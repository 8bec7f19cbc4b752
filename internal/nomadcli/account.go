//go:build linux

package nomadcli

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is the user that the binary runs as. The zero value is the gateway's own user.
type account struct {
	switchUser bool
	uid, gid   uint32
}

// account returns the user to run as. It looks the user up each time, because it may have been created since.
func (b Binary) account() (account, error) {
	if b.User == "" || os.Geteuid() != 0 {
		return account{}, nil
	}
	u, err := user.Lookup(b.User)
	if err != nil {
		return account{}, fmt.Errorf("raw.user: this machine has no user %s to run nomad as", quoted(b.User))
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("raw.user: the user ID of %s is not a number: %w", quoted(b.User), err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("raw.user: the group ID of %s is not a number: %w", quoted(b.User), err)
	}
	if uid == 0 {
		return account{}, fmt.Errorf(
			`raw.user: %s has user ID 0; set an unprivileged user, or "" to run nomad as root`, quoted(b.User))
	}
	return account{switchUser: true, uid: uint32(uid), gid: uint32(gid)}, nil
}

// credential returns the credential to start the program with. It has no supplementary groups.
func (a account) credential() *syscall.Credential {
	if !a.switchUser {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}
