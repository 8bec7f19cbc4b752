package docker

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/tlsfiles"
)

// tlsDaemon starts a daemon behind TLS and returns its address.
func tlsDaemon(t *testing.T, paths map[string]string) (host string, files dockertest.Certificates) {
	t.Helper()
	addr, files := dockertest.ProxyTLS(t, respondingDaemon(t, paths).Host)
	return "tcp://" + addr, files
}

var oneContainerPaths = map[string]string{
	"/version":                     `{"ApiVersion":"1.41"}`,
	"/v1.41/containers/web-1/json": anyContainer,
}

func TestTLS_BothSidesVerified(t *testing.T) {
	host, files := tlsDaemon(t, oneContainerPaths)
	byName := strings.Replace(host, "127.0.0.1", "{node}", 1)
	for name, c := range map[string]struct {
		settings Settings
		want     string // expected error; empty: success
	}{
		"valid": {Settings{Host: host, TLS: tlsfiles.Files{
			CA: files.CA, Cert: files.Cert,
			Key: files.Key,
		}}, ""},
		"by name": {Settings{Host: byName, TLS: tlsfiles.Files{
			CA: files.CA, Cert: files.Cert,
			Key: files.Key,
		}}, ""},
		"another server name": {Settings{Host: host, TLS: tlsfiles.Files{
			CA: files.CA, Cert: files.Cert, Key: files.Key,
			ServerName: dockertest.ServerName,
		}}, ""},
		"https": {Settings{
			Host: strings.Replace(host, "tcp", "https", 1),
			TLS:  tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key},
		}, ""},
		"another CA": {Settings{Host: host, TLS: tlsfiles.Files{
			CA: files.OtherCA, Cert: files.Cert,
			Key: files.Key,
		}}, "certificate signed by unknown authority"},
		"the system's CAs": {
			Settings{Host: host, TLS: tlsfiles.Files{Cert: files.Cert, Key: files.Key}},
			"certificate signed by unknown authority",
		},
		"another name": {Settings{Host: host, TLS: tlsfiles.Files{
			CA: files.CA, Cert: files.Cert, Key: files.Key,
			ServerName: "else",
		}}, "its certificate is for another host"},
		"no certificate": {Settings{Host: host, TLS: tlsfiles.Files{CA: files.CA}}, "certificate required"},
		"not encrypted":  {Settings{Host: host}, "cannot be reached"},
	} {
		_, err := inspectAt(t, c.settings, Node{Name: "localhost"}, "web", "1")
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrUnreachable) ||
			!strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: the error shows an address: %v", name, err)
		}
	}
}

func TestTLS_BadCertificateFiles(t *testing.T) {
	_, files := tlsDaemon(t, nil)
	_, others := tlsDaemon(t, nil)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, settings := range []tlsfiles.Files{
		{CA: missing},
		{CA: empty},
		{CA: files.Key}, // PEM, but not a certificate
		{CA: files.CA, Cert: files.Cert},
		{CA: files.CA, Key: files.Key},
		{Cert: files.Cert, Key: missing},
		{Cert: missing, Key: files.Key},
		{Cert: empty, Key: empty},
		{Cert: files.Cert, Key: others.Key},
	} {
		if _, err := Open(Settings{TLS: settings}); err == nil {
			t.Errorf("%+v is accepted", settings)
		}
	}
}

func TestTLS_ClientCertificateReloaded(t *testing.T) {
	host, files := tlsDaemon(t, oneContainerPaths)
	d := mustOpen(t, Settings{Host: host, TLS: tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key}})
	connect := func() error {
		for _, known := range d.daemons {
			known.http.CloseIdleConnections()
		}
		_, err := d.Inspect(t.Context(), Node{Name: "node-1"}, "web", "1")
		return err
	}
	if err := connect(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(files.Key, files.Key+".away"); err != nil {
		t.Fatal(err)
	}
	if err := connect(); err != nil {
		t.Error("while the key is being replaced:", err)
	}
	// A valid pair that the daemon does not accept shows that the files are read again.
	_, others := tlsDaemon(t, oneContainerPaths)
	for from, to := range map[string]string{others.Cert: files.Cert, others.Key: files.Key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := connect(); err == nil {
		t.Error("connected with the earlier certificate, want the one in the files")
	}
}
