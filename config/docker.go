package config

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"nomadctld/internal/suggest"
)

// docker reads [docker].
func (l *loader) docker(t *table) Docker {
	defer t.reportUnknownKeys()
	d := Docker{Exec: defaultExec}
	if v := t.text("exec", `exec = "auto"`); v.ok {
		d.Exec = v.text
		if v.text != "auto" && v.text != "docker" && v.text != "nomad" {
			l.errorf(v.at, `write "auto", "docker" or "nomad"`, "%s is not a known mode: %s", v.name, quote(v.text))
		}
	}
	v := t.text("host", `host = "tcp://{address}:2376"`)
	d.Host = v.text
	scheme := "tcp"
	if v.ok && v.text != "" {
		scheme = l.dockerHost(v)
	}
	d.Refuse = l.refusedDrivers(t.texts("refuse", `refuse = ["raw_exec"]`))
	encrypted := scheme == "tcp" || scheme == "https"
	d.TLS = l.tls(t.sub("tls"), encrypted, "docker.host starts with "+scheme+"://", "tcp")
	plaintext := d.TLS == (TLS{}) && (scheme == "tcp" || scheme == "http")
	if d.Exec != "nomad" && plaintext && isRemote(dockerSample(d.Host)) {
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

// dockerSample returns the address with example values for its placeholders.
func dockerSample(host string) string {
	if host == "" {
		host = "tcp://{node}"
	}
	return strings.NewReplacer("{node}", "node", "{address}", "192.0.2.1").Replace(host)
}

// dockerHost checks an address that may contain placeholders, and returns its scheme. For an invalid address it returns
// https, so that no other message is about the scheme.
func (l *loader) dockerHost(v value) string {
	sample := dockerSample(v.text)
	u, err := url.Parse(sample)
	valid := err == nil && u.User == nil && u.RawQuery == "" && u.Fragment == "" && !strings.ContainsAny(sample, "{} ")
	if valid {
		switch u.Scheme {
		case "unix":
			valid = u.Path != "" && u.Host == ""
		case "tcp", "http", "https":
			valid = hasHost(u) && strings.Trim(u.Path, "/") == ""
		default:
			valid = false
		}
	}
	if !valid {
		const hint = `write "tcp://{address}:2376" or "unix:///var/run/docker.sock" (placeholders: {node}, {address})`
		l.errorf(v.at, hint, "%s is not the address of a Docker daemon", v.name)
		return "https"
	}
	return u.Scheme
}

// hasHost reports whether u names a host, and either no port or a valid one.
func hasHost(u *url.URL) bool {
	if u.Port() != "" {
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
			return false
		}
	}
	return u.Hostname() != ""
}
