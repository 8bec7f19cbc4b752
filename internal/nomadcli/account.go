//go:build linux

package nomadcli

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is whom the binary runs as; the zero value is the gateway itself.
type account struct {
	switchUser bool
	uid, gid   uint32
}

// account looks the account up, each time: it may have been made since.
func (b Binary) account() (account, error) {
	if b.User == "" || os.Geteuid() != 0 {
		return account{}, nil
	}
	u, err := user.Lookup(b.User)
	if err != nil {
		return account{}, fmt.Errorf("raw.user: this machine has no user %s, as whom nomad would run", quoted(b.User))
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("raw.user: %s has no number: %w", quoted(b.User), err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("raw.user: the group of %s has no number: %w", quoted(b.User), err)
	}
	if uid == 0 {
		return account{}, fmt.Errorf("raw.user: %s is root; name an unprivileged user, or none", quoted(b.User))
	}
	return account{switchUser: true, uid: uint32(uid), gid: uint32(gid)}, nil
}

// credential has no supplementary groups.
func (a account) credential() *syscall.Credential {
	if !a.switchUser {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}
