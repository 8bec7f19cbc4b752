package config

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"nomadctld/internal/dockerhost"
)

// general reads [general].
func (l *loader) general(t *table) General {
	defer t.reportUnknownKeys()
	g := General{
		HostKeys:    l.hostKeys(t),
		Bind:        l.listenAddress(t.text("bind", `bind = ":2222"`), "2222"),
		DockerPort:  l.dockerPort(t.textOrNumber("dockerport", `dockerport = "2375"`)),
		DockerAPI:   l.dockerAPIVersion(t.text("dockerapi", `dockerapi = "1.44", in quotes`)),
		NomadBinary: t.text("nomadbinary", `nomadbinary = "/usr/bin/nomad"`).text,
	}
	g.Control = l.controlSocket(t.text("control", `control = "/run/nomadctld/control.sock"`))
	g.Proxies = l.proxies(t.texts("proxy", `proxy = ["10.0.0.5"]`))
	if g.Bind == "" {
		g.Bind = defaultBind
	}
	if binary := t.find("nomadbinary"); binary != nil && g.NomadBinary != "" {
		l.nomadBinaryAt = binary.at
		l.checkNomadBinary(binary.at, binary.path(), g.NomadBinary)
	}
	return g
}

// listenAddress checks an address to listen on. port is the port of the example in the hint.
func (l *loader) listenAddress(v value, port string) string {
	if v.ok && v.text != "" {
		_, got, err := net.SplitHostPort(v.text)
		if _, e := strconv.ParseUint(got, 10, 16); err != nil || e != nil {
			l.errorf(v.at, `write host:port or :port, such as "127.0.0.1:`+port+`"`,
				"%s is not a listen address: %s", v.name, quote(v.text))
		}
	}
	return v.text
}

// controlSocket checks the path of a unix socket.
func (l *loader) controlSocket(v value) string {
	const maxSocketPath = 100 // the kernel allows 107 bytes
	if len(v.text) > maxSocketPath {
		l.errorf(v.at, `write a short path, such as "/run/nomadctld/control.sock"`,
			"%s is longer than %d bytes, too long for a unix socket", v.name, maxSocketPath)
	}
	return v.text
}

// dockerPort checks a TCP port to connect to. "" is the same as an absent key.
func (l *loader) dockerPort(v value) string {
	if v.ok && v.text != "" && !dockerhost.ValidPort(v.text) {
		l.errorf(v.at, `write dockerport = "2375"`, "%s is not a port from 1 to 65535: %s", v.name, quote(v.text))
	}
	return v.text
}

var apiVersionPattern = regexp.MustCompile(`^[0-9]{1,3}\.[0-9]{1,3}$`)

func (l *loader) dockerAPIVersion(v value) string {
	switch {
	case !v.ok || v.text == "":
	case !apiVersionPattern.MatchString(v.text):
		l.errorf(v.at, `write dockerapi = "1.44", or remove the line to negotiate`,
			"%s is not a Docker API version: %s", v.name, quote(v.text))
	case olderAPI(v.text, minDockerAPI):
		l.warnf(v.at, "remove the line to negotiate with every daemon",
			"%s is %s, but Docker 29 and newer need at least %s: the gateway negotiates the version with those daemons",
			v.name, quote(v.text), minDockerAPI)
	}
	return v.text
}

// minDockerAPI is the oldest API version that Docker 29 supports.
const minDockerAPI = "1.44"

// olderAPI reports whether API version a is older than b.
func olderAPI(a, b string) bool {
	var major, minor, otherMajor, otherMinor int
	fmt.Sscanf(a, "%d.%d", &major, &minor)
	fmt.Sscanf(b, "%d.%d", &otherMajor, &otherMinor)
	return major < otherMajor || major == otherMajor && minor < otherMinor
}

// notImplemented warns of a key that is part of the schema but has no effect yet.
func (l *loader) notImplemented(v value, reason string) value {
	if v.ok {
		l.warnf(v.at, "remove it", "%s has no effect in this version: %s", v.name, reason)
	}
	return v
}

// audit reads [audit].
func (l *loader) audit(t *table) Audit {
	defer t.reportUnknownKeys()
	recordings := t.text("recordings", `recordings = "/var/lib/nomadctld/recordings"`)
	a := Audit{
		File:       t.text("file", `file = "/var/log/nomadctld/audit.jsonl"`).text,
		Recordings: l.notImplemented(recordings, "session recording is not supported yet").text,
		Required:   t.boolean("required"),
		Jobs:       t.text("jobs", `jobs = "/var/lib/nomadctld/jobs"`).text,
	}
	if a.Jobs == "" && a.File != "" && a.File != "-" {
		a.Jobs = filepath.Join(filepath.Dir(a.File), "jobs")
	}
	usable := true
	if file := t.find("file"); file != nil && a.File != "" && a.File != "-" {
		if usable = l.checkAuditUsable(file.at, file.path(), a.File); usable {
			l.checkAuditFile(file.at, file.path(), a.File)
		}
	}
	if jobs := t.find("jobs"); jobs != nil && a.Jobs != "" {
		l.checkJobsDir(jobs.at, jobs.path(), a.Jobs)
	} else if file := t.find("file"); file != nil && a.Jobs != "" && usable { // otherwise its directory was reported
		l.checkJobsDir(file.at, t.name+".jobs", a.Jobs)
	}
	if required := t.find("required"); a.Required && a.File == "" {
		l.errorf(required.key, `write file = "/var/log/nomadctld/audit.jsonl", or "-" for standard output`,
			"%s is true, but audit.file is not set, so events would only go to standard error", required.path())
	}
	return a
}

// raw reads [raw].
func (l *loader) raw(t *table) Raw {
	defer t.reportUnknownKeys()
	r := Raw{User: defaultRawUser}
	v := t.text("user", `user = "nobody"`)
	if v.ok {
		r.User = v.text
		if v.text == "" {
			l.warnf(v.at, `write user = "nobody", or the name of a dedicated account`,
				"%s is empty: if the gateway is root, nomad runs as root", v.name)
		}
	}
	if r.User == defaultRawUser && l.cfg.General.NomadBinary != "" && l.env.uid == 0 && !l.env.inContainer {
		at := v.at
		if !v.given {
			at = l.nomadBinaryAt
		}
		l.warnf(at, "create a dedicated account with useradd --system --shell /usr/sbin/nologin nomadctld-raw, "+
			`and write user = "nomadctld-raw"`,
			`%s is "nobody": if the gateway is root, nomad runs as nobody, and other programs of that user can use `+
				"the token while it runs", v.name)
	}
	if allowed := t.texts("allow", `allow = ["job status", "node status"]`); allowed.given {
		r.Allow = []string{} // not nil, which would allow all safe commands
		for _, v := range allowed.items {
			if strings.Join(strings.Fields(v.text), " ") != v.text || v.text == "" || strings.HasPrefix(v.text, "-") {
				l.errorf(v.at, `write the words of a nomad command, such as "job status"`,
					"%s is not a nomad command: %s", v.name, quote(v.text))
			}
			r.Allow = append(r.Allow, v.text)
		}
		if allowed.empty() {
			l.warnf(allowed.at, "add a command, or remove the line to allow all safe ones",
				"%s is empty, so raw allows no command", allowed.name)
		}
	}
	return r
}
