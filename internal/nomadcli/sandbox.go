//go:build linux

package nomadcli

import (
	"fmt"
	"os"
	"regexp"
)

// sandbox is the private directory of a run and the account that owns it.
type sandbox struct {
	dir     string
	account account
}

// newSandbox creates a directory that still belongs to the gateway.
func newSandbox(as account) (sandbox, error) {
	dir, err := os.MkdirTemp("", "nomadctld-raw-") // 0700
	if err != nil {
		return sandbox{}, fmt.Errorf("create a directory for nomad: %w", err)
	}
	return sandbox{dir, as}, nil
}

// chown gives the directory to the account. The gateway calls it last, so that no other process of that user can put
// a symlink where the gateway is about to write.
func (s sandbox) chown() error {
	if !s.account.switchUser {
		return nil
	}
	if err := os.Chown(s.dir, int(s.account.uid), int(s.account.gid)); err != nil {
		return fmt.Errorf("create a directory for nomad: %w", err)
	}
	return nil
}

func (s sandbox) remove() error {
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove the directory of nomad: %w", err)
	}
	return nil
}

// environment returns the program's whole environment: it inherits nothing. GOTRACEBACK is not set, so the program
// dumps no core. Hints are off because their links to the web UI would point to the proxy.
func (s sandbox) environment(address string, c Cluster, t *Terminal) []string {
	env := []string{
		"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + s.dir, "TMPDIR=" + s.dir,
		"NOMAD_ADDR=" + address, "NOMAD_CLI_SHOW_HINTS=false",
	}
	if c.Namespace != "" {
		env = append(env, "NOMAD_NAMESPACE="+c.Namespace)
	}
	if t == nil || t.NoColor {
		env = append(env, "NOMAD_CLI_NO_COLOR=1")
	}
	if t == nil {
		return env
	}
	return append(env, "TERM="+terminalName(t.Name))
}

var validTerminalName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]{0,63}$`)

// terminalName replaces invalid names: programs look TERM up as a file name, so it must not be a path.
func terminalName(name string) string {
	if !validTerminalName.MatchString(name) {
		return "dumb"
	}
	return name
}
