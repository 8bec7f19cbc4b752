package cli

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// identity is what the kernel checks when a process opens a file.
type identity struct {
	uid, gid int
	groups   []int // supplementary groups, as login and systemd set them
}

// becomeUser gives up the rights of root for those of another user, for the rest of the process.
func becomeUser(name string) error {
	id, err := lookUpIdentity(name)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		if id.uid == os.Geteuid() {
			return nil
		}
		return errors.New("--as needs root; run it with sudo")
	}
	// The order matters: without root, the process may not change its groups.
	if err := syscall.Setgroups(id.groups); err != nil {
		return fmt.Errorf("--as %s: setgroups: %w", name, err)
	}
	if err := syscall.Setgid(id.gid); err != nil {
		return fmt.Errorf("--as %s: setgid: %w", name, err)
	}
	if err := syscall.Setuid(id.uid); err != nil {
		return fmt.Errorf("--as %s: setuid: %w", name, err)
	}
	return nil
}

// lookUpIdentity returns the identity of a user, by name, UID or UID:GID. A UID:GID need not be of a known user.
func lookUpIdentity(name string) (identity, error) {
	if uid, gid, ok := strings.Cut(name, ":"); ok {
		u, err := parseID(uid)
		g, err2 := parseID(gid)
		if err := errors.Join(err, err2); err != nil {
			return identity{}, fmt.Errorf("--as %s: not a UID:GID", name)
		}
		return identity{u, g, []int{g}}, nil
	}
	found, err := user.Lookup(name)
	if _, notNumber := parseID(name); err != nil && notNumber == nil {
		found, err = user.LookupId(name)
	}
	if err != nil {
		return identity{}, fmt.Errorf("--as %s: no such user in /etc/passwd; create it, or use UID:GID", name)
	}
	id := identity{}
	uid, err := parseID(found.Uid)
	gid, err2 := parseID(found.Gid)
	groups, err3 := found.GroupIds()
	if err := errors.Join(err, err2, err3); err != nil {
		return identity{}, fmt.Errorf("--as %s: its groups cannot be read: %w", name, err)
	}
	id.uid, id.gid = uid, gid
	for _, text := range groups {
		if group, err := parseID(text); err == nil {
			id.groups = append(id.groups, group)
		}
	}
	return id, nil
}

func parseID(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}
