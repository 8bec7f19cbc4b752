//go:build linux

package nomadcli

import (
	"fmt"
	"os"
	"regexp"
)

// sandbox is the directory that a run has to itself.
type sandbox struct {
	dir     string
	account account
}

func newSandbox(as account) (sandbox, error) {
	dir, err := os.MkdirTemp("", "nomadctld-raw-") // 0700
	if err != nil {
		return sandbox{}, fmt.Errorf("a directory for nomad: %w", err)
	}
	return sandbox{dir, as}, nil
}

// chown makes the directory the user's. It comes last, so that no other process of that user can lay a link where the
// gateway is going to write.
func (r sandbox) chown() error {
	if !r.account.switchUser {
		return nil
	}
	if err := os.Chown(r.dir, int(r.account.uid), int(r.account.gid)); err != nil {
		return fmt.Errorf("a directory for nomad: %w", err)
	}
	return nil
}

func (r sandbox) remove() error {
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("the directory of nomad: %w", err)
	}
	return nil
}

// environment is all that the program gets of one: nothing is inherited. Without GOTRACEBACK, which alone would make it
// do so, a program in Go writes no core. Its hints at the web interface would lead to the proxy.
func (r sandbox) environment(address string, c Cluster, t *Terminal) []string {
	env := []string{
		"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + r.dir, "TMPDIR=" + r.dir,
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

var terminalNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]{0,63}$`)

// terminalName keeps paths out of TERM, which programs look up as a file.
func terminalName(name string) string {
	if !terminalNames.MatchString(name) {
		return "dumb"
	}
	return name
}
