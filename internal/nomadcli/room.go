//go:build linux

package nomadcli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// room is the directory that a run has to itself.
type room struct {
	dir string
	as  account
}

func newRoom(as account) (room, error) {
	dir, err := os.MkdirTemp("", "nomadctld-raw-") // 0700
	if err != nil {
		return room{}, fmt.Errorf("a directory for nomad: %w", err)
	}
	return room{dir, as}, nil
}

// handOver makes the directory the user's. It comes last, so that no other process of that user can lay a link where the
// gateway is going to write.
func (r room) handOver() error {
	if !r.as.other {
		return nil
	}
	if err := os.Chown(r.dir, int(r.as.uid), int(r.as.gid)); err != nil {
		return fmt.Errorf("a directory for nomad: %w", err)
	}
	return nil
}

func (r room) remove() error {
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("the directory of nomad: %w", err)
	}
	return nil
}

// environment is all that the program gets of one: nothing is inherited. Without GOTRACEBACK, which alone would make it
// do so, a program in Go writes no core.
func (r room) environment(c Cluster, t *Terminal) ([]string, error) {
	env := []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + r.dir, "TMPDIR=" + r.dir, "NOMAD_ADDR=" + c.URL}
	for _, v := range []struct{ name, value string }{
		{"NOMAD_TOKEN", c.Token},
		{"NOMAD_NAMESPACE", c.Namespace},
		{"NOMAD_TLS_SERVER_NAME", c.ServerName},
	} {
		if v.value != "" {
			env = append(env, v.name+"="+v.value)
		}
	}
	for _, f := range []struct{ name, path, copy string }{
		{"NOMAD_CACERT", c.CAFile, "ca.pem"},
		{"NOMAD_CLIENT_CERT", c.CertFile, "client.pem"},
		{"NOMAD_CLIENT_KEY", c.KeyFile, "client-key.pem"},
	} {
		if f.path == "" {
			continue
		}
		path, err := r.file(f.path, f.copy)
		if err != nil {
			return nil, err
		}
		env = append(env, f.name+"="+path)
	}
	if t == nil || t.NoColor {
		env = append(env, "NOMAD_CLI_NO_COLOR=1")
	}
	if t == nil {
		return env, nil
	}
	return append(env, "TERM="+terminalName(t.Name)), nil
}

// file returns where the program can read a file of the gateway's. For another user it is a copy, always: whether that
// user may read the original is not asked, so that a run does not depend on it.
func (r room) file(path, name string) (string, error) {
	if !r.as.other {
		abs, err := filepath.Abs(path)
		if err != nil {
			return "", fmt.Errorf("where %s is: %w", path, err)
		}
		return abs, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("a file for the connection to the cluster: %w", err)
	}
	copied := filepath.Join(r.dir, name)
	if err := os.WriteFile(copied, content, 0o400); err != nil {
		return "", fmt.Errorf("a file for the connection to the cluster: %w", err)
	}
	if err := os.Chown(copied, int(r.as.uid), int(r.as.gid)); err != nil {
		return "", fmt.Errorf("a file for the connection to the cluster: %w", err)
	}
	return copied, nil
}

var terminalNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]{0,63}$`)

// terminalName keeps paths out of TERM, which programs look up as a file.
func terminalName(name string) string {
	if !terminalNames.MatchString(name) {
		return "dumb"
	}
	return name
}
