package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"nomadctld/internal/dockerhost"
	"nomadctld/internal/suggest"
	"nomadctld/internal/tlsfiles"
)

// ExecAuto is the value of docker.exec that selects the runtime by the driver of the task.
const ExecAuto = "auto"

// ExecModes are the values of docker.exec: ExecAuto, and the name of each runtime that can be the only one.
var ExecModes = []string{ExecAuto, "docker", "nomad"}

// execModesText describes them in the reference.
const execModesText = `"auto" uses the node's Docker daemon for tasks of the docker driver. It uses Nomad's API for ` +
	`other tasks, and if the daemon does not respond or declines the request. "docker" and "nomad" use only that route. ` +
	`Default "auto".`

// anyOf lists names, quoted, with "or" before the last one.
func anyOf(names []string) string {
	var text strings.Builder
	for i, name := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			text.WriteString(" or ")
		default:
			text.WriteString(", ")
		}
		text.WriteString(quote(name))
	}
	return text.String()
}

// docker reads [docker].
func (l *loader) docker(t *table) Docker {
	defer t.reportUnknownKeys()
	d := Docker{Exec: ExecAuto}
	if v := t.text("exec", `exec = "auto"`); v.ok {
		d.Exec = v.text
		if !slices.Contains(ExecModes, v.text) {
			l.errorf(v.at, "write "+anyOf(ExecModes), "%s is not a known mode: %s", v.name, quote(v.text))
		}
	}
	v := t.text("host", `host = "tcp://{address}:2376"`)
	d.Host = v.text
	host, err := dockerhost.Parse(v.text)
	scheme := "https" // assumed for an invalid address, so that nothing else is reported about the scheme
	if err != nil {
		l.errorf(v.at,
			`write "tcp://{address}:2376" or "unix:///var/run/docker.sock" (placeholders: {node}, {address})`,
			"%s is not the address of a Docker daemon", v.name)
	} else {
		scheme = host.Sample.Scheme
	}
	d.Refuse = l.refusedDrivers(t.texts("refuse", `refuse = ["raw_exec"]`))
	encrypted := scheme == "tcp" || scheme == "https"
	d.TLS = l.tls(t.sub("tls"), encrypted, "docker.host starts with "+scheme+"://", "tcp")
	plaintext := d.TLS == (tlsfiles.Files{}) && (scheme == "tcp" || scheme == "http")
	if d.Exec != "nomad" && plaintext && isRemote(host.Sample.String()) {
		subject := v.name
		if d.Host == "" {
			subject += " is not set and defaults to tcp://NODE:dockerport"
		}
		l.warnf(v.at, `write host = "tcp://{node}:2376" and [docker.tls], or exec = "nomad"`,
			"%s: the Docker daemons are reached without TLS, and anyone who can connect to their port is root on "+
				"the node", subject)
	}
	return d
}

// knownDrivers are the task drivers of Nomad and HashiCorp. A name that is close to one of them is probably a typing
// error.
var knownDrivers = []string{"docker", "exec", "exec2", "java", "podman", "qemu", "raw_exec", "virt"}

var driverPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// refusedDrivers checks the drivers for which exec and attach are refused.
func (l *loader) refusedDrivers(refused list) (names []string) {
	const unknown = "%s is not one of Nomad's own task drivers: %s"
	for _, v := range refused.items {
		switch best := suggest.Closest(v.text, knownDrivers); {
		case !driverPattern.MatchString(v.text):
			l.errorf(v.at, `write a task driver such as "raw_exec"`,
				"%s is not a valid task driver name: %s", v.name, quote(v.text))
		case best == v.text:
		case best != "":
			l.warnf(v.at, "did you mean "+quote(best)+"?", unknown, v.name, quote(v.text))
		default:
			l.warnf(v.at, "check that it is spelled as in the job files", unknown, v.name, quote(v.text))
		}
		names = append(names, v.text)
	}
	if refused.given && refused.empty() {
		l.warnf(refused.at, "add a driver, or remove the line", "%s is empty, so no driver is refused", refused.name)
	}
	return names
}

// hasHost reports whether u names a host, and either no port or a valid one.
func hasHost(u *url.URL) bool {
	return u.Hostname() != "" && (u.Port() == "" || dockerhost.ValidPort(u.Port()))
}
