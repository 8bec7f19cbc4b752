package config

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// accessConfig names one file of each kind.
const accessConfig = `[general]
hostkey = "hostkey"
nomadbinary = "nomad"
[nomad.production]
url = "https://127.0.0.1:4646"
prefix = ["p-"]
token = "token"
tls = { ca = "cert.pem", cert = "cert.pem", key = "key.pem" }
[prefix.all]
prefix = ["p-"]
[users.wim]
key = "KEY"
prefix = ["all"]
[docker]
exec = "nomad"
[audit]
file = "log/audit.jsonl"
jobs = "jobs"
[raw]
user = "nomad"
`

// writeAccessFiles changes to a new directory with the files of accessConfig, which only their owner can read.
func writeAccessFiles(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	fatal(t, os.Chmod(filepath.Dir(dir), 0o755)) // Go creates it with 0700
	fatal(t, os.Chmod(dir, 0o755))
	t.Chdir(dir)
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	block, err := ssh.MarshalPrivateKey(private, "")
	fatal(t, err)
	key, err := ssh.NewPublicKey(public)
	fatal(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	fatal(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	fatal(t, err)
	fatal(t, os.Mkdir("log", 0o700))
	fatal(t, os.Mkdir("jobs", 0o700))
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	for name, content := range map[string][]byte{
		"nomadctld.toml":  []byte(strings.ReplaceAll(text, "KEY", line)),
		"hostkey":         pem.EncodeToMemory(block),
		"nomad":           []byte("#!/bin/sh\n"),
		"token":           []byte("secret\n"),
		"cert.pem":        pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		"key.pem":         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"log/audit.jsonl": nil,
	} {
		fatal(t, os.WriteFile(name, content, 0o600))
	}
	fatal(t, os.Chmod("nomad", 0o700))
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func diagnosticLines(diagnostics []Diagnostic) string {
	var b strings.Builder
	for _, d := range diagnostics {
		b.WriteString(d.String() + "\n")
	}
	return b.String()
}

// ordinaryUser is the environment of a gateway that owns the files of these tests.
func ordinaryUser() environment { return environment{uid: os.Geteuid(), groups: []int{os.Getegid()}} }

func chmod(modes map[string]os.FileMode) func(*testing.T) {
	return func(t *testing.T) {
		for name, mode := range modes {
			fatal(t, os.Chmod(name, mode))
		}
	}
}

// chown needs root.
func chown(uid, gid int, modes map[string]os.FileMode) func(*testing.T) {
	return func(t *testing.T) {
		for name := range modes {
			if err := os.Chown(name, uid, gid); err != nil {
				t.Skip("this needs root:", err)
			}
		}
		chmod(modes)(t)
	}
}

func TestLoad_FilePermissions(t *testing.T) {
	root, other, container := environment{uid: 0}, environment{uid: 4711, groups: []int{4712}}, environment{
		uid:         4711,
		inContainer: true,
	}
	for name, tc := range map[string]struct {
		change func(*testing.T)
		as     environment
		want   string // all diagnostics; a line that starts with a tab continues the one before
	}{
		"private files": {chmod(nil), ordinaryUser(), ""},
		"world-readable": {chmod(map[string]os.FileMode{
			"token": 0o644, "key.pem": 0o644, "cert.pem": 0o644,
			"nomad": 0o755, "nomadctld.toml": 0o644, "log": 0o755, "log/audit.jsonl": 0o644, "jobs": 0o755,
		}), ordinaryUser(), `
nomadctld.toml: warning: the config file, which lists users, rights and addresses, is readable by every user of this
	machine; chmod o-r "nomadctld.toml"
nomadctld.toml:7:9: warning: nomad.production.token: file "token" is secret, but readable by every user of this machine;
	chmod 600 "token", or chmod 640 with a group that only the gateway is in
nomadctld.toml:8:51: warning: nomad.production.tls.key: file "key.pem" is secret, but readable by every user of this
	machine; chmod 600 "key.pem", or chmod 640 with a group that only the gateway is in
nomadctld.toml:17:8: warning: audit.file: file "log/audit.jsonl" is secret, but readable by every user of this machine;
	chmod 600 "log/audit.jsonl", or chmod 640 with a group that only the gateway is in
nomadctld.toml:18:8: warning: audit.jobs: directory "jobs" is open to every user of this machine; chmod 700 "jobs"
`},
		"open files in a private directory": {func(t *testing.T) {
			fatal(t, os.Chmod(".", 0o700))
			chmod(map[string]os.FileMode{
				"token": 0o666, "key.pem": 0o666, "nomadctld.toml": 0o666, "log": 0o777,
				"log/audit.jsonl": 0o666,
			})(t)
		}, ordinaryUser(), ""},
		"world-writable": {chmod(map[string]os.FileMode{
			"token": 0o602, "key.pem": 0o602, "cert.pem": 0o602,
			"nomad": 0o702, "nomadctld.toml": 0o602, "log/audit.jsonl": 0o602, "log": 0o755,
		}), ordinaryUser(), `
nomadctld.toml: the config file is writable by every user of this machine; chmod go-w "nomadctld.toml"
nomadctld.toml:3:15: warning: general.nomadbinary: file "nomad" is writable by every user of this machine; chmod go-w
	"nomad", or chown it to root or the gateway's user
nomadctld.toml:7:9: warning: nomad.production.token: file "token" is writable by every user of this machine; chmod go-w
	"token", or chown it to root or the gateway's user
nomadctld.toml:8:14: warning: nomad.production.tls.ca: file "cert.pem" is writable by every user of this machine; chmod
	go-w "cert.pem", or chown it to root or the gateway's user
nomadctld.toml:8:33: warning: nomad.production.tls.cert: file "cert.pem" is writable by every user of this machine;
	chmod go-w "cert.pem", or chown it to root or the gateway's user
nomadctld.toml:8:51: warning: nomad.production.tls.key: file "key.pem" is writable by every user of this machine; chmod
	go-w "key.pem", or chown it to root or the gateway's user
nomadctld.toml:17:8: warning: audit.file: file "log/audit.jsonl" is writable by every user of this machine; chmod go-w
	"log/audit.jsonl", or chown it to root or the gateway's user
`},
		"open dirs": {chmod(map[string]os.FileMode{"log": 0o777, "jobs": 0o777}), ordinaryUser(), `
nomadctld.toml:17:8: audit.file: every user of this machine can replace "log/audit.jsonl", because directory "DIR/log"
	is world-writable; chmod o-w "DIR/log"
nomadctld.toml:18:8: audit.jobs: directory "jobs" is writable by other users; chmod 700 "jobs"
`},
		"directory of another group": {chown(0, 4713, map[string]os.FileMode{"log": 0o770}), environment{uid: 0}, `
nomadctld.toml:17:8: warning: audit.file: directory "log" of the audit log is writable by group 4713; chmod g-w "log",
	or chown it to root or the gateway's user
`},
		"sticky directory": {chmod(map[string]os.FileMode{"log": 0o777 | os.ModeSticky}), ordinaryUser(), ""},
		"group-writable jobs": {
			chmod(map[string]os.FileMode{"jobs": 0o770}), ordinaryUser(),
			`nomadctld.toml:18:8: audit.jobs: directory "jobs" is writable by other users; chmod 700 "jobs"` + "\n",
		},
		"jobs is a link": {func(t *testing.T) {
			fatal(t, os.Rename("jobs", "elsewhere"))
			fatal(t, os.Symlink("elsewhere", "jobs"))
		}, ordinaryUser(), `nomadctld.toml:18:8: audit.jobs: "jobs" is not a directory; name a directory (the ` +
			`gateway creates a missing one)` + "\n"},
		"missing jobs": {func(t *testing.T) { fatal(t, os.RemoveAll("jobs")) }, ordinaryUser(), ""},
		"group-readable host key": {chmod(map[string]os.FileMode{"hostkey": 0o640}), ordinaryUser(), `
nomadctld.toml:2:11: general.hostkey: private key file "hostkey" with mode 0640 is accessible to other users; chmod 600
	"hostkey"
`},
		"root's host key for everyone": {chown(0, 0, map[string]os.FileMode{
			"hostkey": 0o644, "token": 0o600, "key.pem": 0o600, "nomadctld.toml": 0o600, "log/audit.jsonl": 0o600, "jobs": 0o700,
		}), environment{uid: 4711, groups: []int{0}}, `
nomadctld.toml:2:11: general.hostkey: private key file "hostkey" is readable by every user of this machine; chmod o-r
	"hostkey"
nomadctld.toml:18:8: audit.jobs: directory "jobs" belongs to user 0, but the gateway runs as user 4711; chown it, or
	name another directory
`},
		"root's files for the gateway's group": {chown(0, 4712,
			map[string]os.FileMode{
				"hostkey": 0o640, "token": 0o640, "key.pem": 0o440, "cert.pem": 0o644,
				"nomad": 0o755, "nomadctld.toml": 0o640, "log/audit.jsonl": 0o640,
			}), environment{uid: 4711, groups: []int{4712}}, `
nomadctld.toml:18:8: audit.jobs: directory "jobs" belongs to user 0, but the gateway runs as user 4711; chown it, or
	name another directory
`},
		"root's files for another group": {chown(0, 4713, map[string]os.FileMode{
			"hostkey": 0o640, "token": 0o660,
			"key.pem": 0o440, "nomadctld.toml": 0o660, "log/audit.jsonl": 0o600, "jobs": 0o700,
		}), other, `
nomadctld.toml: warning: the config file is writable by group 4713; chmod go-w "nomadctld.toml", or chown it to root or
	the gateway's user
nomadctld.toml:2:11: warning: general.hostkey: file "hostkey" is secret, but readable by group 4713; chmod 600
	"hostkey", or chmod 640 with a group that only the gateway is in
nomadctld.toml:7:9: warning: nomad.production.token: file "token" is secret, but readable by group 4713; chmod 600
	"token", or chmod 640 with a group that only the gateway is in
nomadctld.toml:7:9: warning: nomad.production.token: file "token" is writable by group 4713; chmod go-w "token", or
	chown it to root or the gateway's user
nomadctld.toml:8:51: warning: nomad.production.tls.key: file "key.pem" is secret, but readable by group 4713; chmod 600
	"key.pem", or chmod 640 with a group that only the gateway is in
nomadctld.toml:18:8: audit.jobs: directory "jobs" belongs to user 0, but the gateway runs as user 4711; chown it, or
	name another directory
`},
		"another user's files": {
			chown(4714, 4714, map[string]os.FileMode{"token": 0o644, "nomadctld.toml": 0o600}),
			environment{uid: 4711},
			`
nomadctld.toml: warning: the config file is writable by user 4714; chmod go-w "nomadctld.toml", or chown it to root or
	the gateway's user
nomadctld.toml:7:9: warning: nomad.production.token: file "token" is secret, but readable by user 4714; chmod 600
	"token", or chmod 640 with a group that only the gateway is in
nomadctld.toml:7:9: warning: nomad.production.token: file "token" is writable by user 4714; chmod go-w "token", or chown
	it to root or the gateway's user
nomadctld.toml:18:8: audit.jobs: directory "jobs" belongs to user 0, but the gateway runs as user 4711; chown it, or
	name another directory
`,
		},
		"root checks for the gateway": {chown(4711, 4711, map[string]os.FileMode{
			"hostkey": 0o600, "token": 0o640,
			"key.pem": 0o600, "nomadctld.toml": 0o640, "log": 0o750, "log/audit.jsonl": 0o640, "jobs": 0o700,
		}), root, ""},
		// Files that Docker, Nomad or Kubernetes mounts. There are no other users. The gateway owns the jobs directory.
		"a container": {func(t *testing.T) {
			chown(0, 0, map[string]os.FileMode{
				"hostkey": 0o444, "token": 0o444, "key.pem": 0o444,
				"nomadctld.toml": 0o444, "nomad": 0o755, "log": 0o777, "log/audit.jsonl": 0o644,
			})(t)
			chown(4711, 4711, map[string]os.FileMode{"jobs": 0o755})(t)
			fatal(t, os.Chmod(".", 0o777))
		}, container, ""},
		"a container with another's jobs": {
			chown(0, 0, map[string]os.FileMode{"hostkey": 0o444, "jobs": 0o777}),
			container, `nomadctld.toml:18:8: audit.jobs: directory "jobs" is writable by other users; chmod 700 "jobs"` + "\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			writeAccessFiles(t, accessConfig)
			tc.change(t)
			dir, err := os.Getwd()
			fatal(t, err)
			if dir, err = filepath.EvalSymlinks(dir); err != nil {
				t.Fatal(err)
			}
			cfg, diagnostics := load("nomadctld.toml", nil, tc.as)
			want := strings.NewReplacer("DIR", dir, "\n\t", " ").Replace(strings.TrimPrefix(tc.want, "\n"))
			if got := diagnosticLines(diagnostics); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			refused := false
			for _, line := range strings.Split(strings.TrimSpace(want), "\n") {
				refused = refused || line != "" && !strings.Contains(line, ": warning: ")
			}
			if (cfg == nil) != refused {
				t.Errorf("got a config: %t, want %t", cfg != nil, !refused)
			}
		})
	}
}

func TestLoad_RemotePlaintext(t *testing.T) {
	const (
		token = "nomad.production.url: the token is sent to another machine without TLS, and anyone on the network " +
			"path can read it; use https://"
		docker = "the Docker daemons are reached without TLS, and anyone who can connect to their port is root on " +
			"the node"
	)
	for name, tc := range map[string]struct {
		old, new string
		want     string // empty: nothing
	}{
		"http":                      {"https://127.0.0.1:4646\"", "http://nomad.example:4646\"", token},
		"http to an address":        {"https://127.0.0.1:4646\"", "http://[2001:db8::1]:4646\"", token},
		"http on this machine":      {"https://127.0.0.1:4646\"", "http://127.0.0.2:4646\"", ""},
		"http to localhost":         {"https://127.0.0.1:4646\"", "http://localhost:4646\"", ""},
		"http to this machine's v6": {"https://127.0.0.1:4646\"", "http://[::1]:4646\"", ""},
		"docker's default": {
			"[docker]\nexec = \"nomad\"\n", "",
			"nomadctld.toml: warning: docker.host is not set and defaults to tcp://NODE:dockerport: " + docker,
		},
		"docker's default, auto": {
			"exec = \"nomad\"", "exec = \"auto\"",
			"nomadctld.toml:14:2: warning: docker.host is not set and defaults to tcp://NODE:dockerport: " + docker,
		},
		"docker by tcp": {
			"exec = \"nomad\"", "host = \"tcp://{address}:2376\"",
			"nomadctld.toml:15:8: warning: docker.host: " + docker +
				`; write host = "tcp://{node}:2376" and [docker.tls], or exec = "nomad"`,
		},
		"docker by http":         {"exec = \"nomad\"", "host = \"http://{node}:2375\"", "docker.host: " + docker},
		"docker by https":        {"exec = \"nomad\"", "host = \"https://{node}:2375\"", ""},
		"docker by tcp and TLS":  {"exec = \"nomad\"", "host = \"tcp://{node}:2376\"\ntls.ca = \"cert.pem\"", ""},
		"docker by a socket":     {"exec = \"nomad\"", "host = \"unix:///var/run/docker.sock\"", ""},
		"docker on this machine": {"exec = \"nomad\"", "host = \"tcp://127.0.0.1:2375\"", ""},
		"overlapping clusters": {
			"[prefix.all]",
			"[nomad.test]\nurl = \"https://127.0.0.1:1\"\nprefix = [\"p-team1-\"]\n[prefix.all]", `item 1 of ` +
				`nomad.test.prefix ("p-team1-") overlaps with "p-" of another cluster (nomad.production, line 6): ` +
				`commands on jobs that match both need --tier; use different prefixes for each cluster`,
		},
		"a longer one first": {
			"[prefix.all]",
			"[nomad.test]\nurl = \"https://127.0.0.1:1\"\nprefix = [\"t-\", \"p\"]\n[prefix.all]", `overlaps with ` +
				`"p-" of another cluster (nomad.production, line 6)`,
		},
		"one cluster": {
			"[prefix.all]",
			"[nomad.test]\nurl = \"https://127.0.0.1:4646/\"\nprefix = [\"p-team1-\"]\n[prefix.all]", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(accessConfig, tc.old, tc.new, 1)
			if strings.HasPrefix(tc.new, "http://") {
				text = strings.Replace(text, "tls = {", "#", 1)
			}
			if text == accessConfig {
				t.Fatal("nothing was replaced")
			}
			writeAccessFiles(t, text)
			cfg, diagnostics := load("nomadctld.toml", nil, ordinaryUser())
			got := diagnosticLines(diagnostics)
			if tc.old == "" || cfg == nil || tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("got:\n%s\nwant %q", got, tc.want)
			}
		})
	}
}

func TestCurrentEnvironment_Container(t *testing.T) {
	for _, tc := range []struct {
		image, alloc string
		want         bool
	}{{"", "", false}, {"1", "", true}, {"", "/alloc", true}, {"", "/var/lib/nomad/alloc/0a1b/alloc", false}} {
		t.Setenv("NOMADCTLD_CONTAINER", tc.image)
		t.Setenv("NOMAD_ALLOC_DIR", tc.alloc)
		if got := currentEnvironment().inContainer; got != tc.want {
			t.Errorf("%q, %q: got %t, want %t", tc.image, tc.alloc, got, tc.want)
		}
	}
}

func TestLoad_RawAsNobody(t *testing.T) {
	for name, tc := range map[string]struct {
		old, new string
		as       environment
		want     string
	}{
		"root, default": {
			"[raw]\nuser = \"nomad\"\n", "",
			environment{},
			`nomadctld.toml:3:15: warning: raw.user is "nobody": if the gateway is root, nomad runs as nobody, and ` +
				`other programs of that user can use the token while it runs; create a dedicated account with useradd ` +
				`--system --shell /usr/sbin/nologin nomadctld-raw, and write user = "nomadctld-raw"`,
		},
		"root, nobody": {
			"user = \"nomad\"", "user = \"nobody\"",
			environment{},
			"nomadctld.toml:20:8: warning: raw.user is",
		},
		"root, an account":    {"user = \"nomad\"", "user = \"nomad\"", environment{}, ""},
		"root, no nomad":      {"nomadbinary = \"nomad\"\n", "", environment{}, ""},
		"not root":            {"user = \"nomad\"", "user = \"nobody\"", ordinaryUser(), ""},
		"root in a container": {"user = \"nomad\"", "user = \"nobody\"", environment{inContainer: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.as.uid == os.Geteuid() && name == "not root" {
				tc.as.uid = 4711
			}
			writeAccessFiles(t, strings.Replace(accessConfig, tc.old, tc.new, 1))
			_, diagnostics := load("nomadctld.toml", nil, tc.as)
			if got := diagnosticLines(diagnostics); (tc.want != "") != strings.Contains(got, "raw.user") ||
				!strings.Contains(got, tc.want) {
				t.Errorf("got:\n%s\nwant %q", got, tc.want)
			}
		})
	}
}
