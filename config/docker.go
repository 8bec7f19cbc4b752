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
			l.errorf(v.at, `write "auto", "docker" or "nomad"`, "%s is %s", v.name, quote(v.text))
		}
	}
	v := t.text("host", `host = "tcp://{address}:2376"`)
	d.Host = v.text
	scheme := "tcp"
	if v.ok && v.text != "" {
		scheme = l.dockerHost(v)
	}
	d.Refuse = l.refusedDrivers(t.texts("refuse", `refuse = ["raw_exec"]`))
	d.TLS = l.tls(t.sub("tls"), scheme == "tcp" || scheme == "https", "the Docker host is reached by "+scheme+"://")
	if d.Exec != "nomad" && d.TLS == (TLS{}) && (scheme == "tcp" || scheme == "http") && isRemote(dockerSample(d.Host)) {
		subject := v.name
		if d.Host == "" {
			subject += " is missing, so it is tcp://NODE:dockerport"
		}
		l.warnf(v.at, `write host = "tcp://{node}:2376" and [docker.tls], or exec = "nomad"`,
			"%s: the Docker daemons are reached without TLS, and anyone who can reach their port is root on the node", subject)
	}
	return d
}

// knownDrivers are the task drivers of Nomad and its makers, by which a misspelt one is recognized.
var knownDrivers = []string{"docker", "exec", "exec2", "java", "podman", "qemu", "raw_exec", "virt"}

var driverPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// refusedDrivers checks the drivers for which exec and attach are refused.
func (l *loader) refusedDrivers(refused list) (names []string) {
	for _, v := range refused.items {
		switch best := suggest.Closest(v.text, knownDrivers); {
		case !driverPattern.MatchString(v.text):
			l.errorf(v.at, `write the name of a task driver, such as "raw_exec"`, "%s is not the name of a task driver: %s", v.name, quote(v.text))
		case best == v.text:
		case best != "":
			l.warnf(v.at, "did you mean "+quote(best)+"?", "%s is %s, which is not a task driver of Nomad itself", v.name, quote(v.text))
		default:
			l.warnf(v.at, "check that the job files write it so", "%s is %s, which is not a task driver of Nomad itself", v.name, quote(v.text))
		}
		names = append(names, v.text)
	}
	if refused.given && refused.empty() {
		l.warnf(refused.at, "fill the list, or remove it", "%s is empty, so exec and attach are refused for no driver", refused.name)
	}
	return names
}

// dockerSample is an address as it could be for one node.
func dockerSample(host string) string {
	if host == "" {
		host = "tcp://{node}"
	}
	return strings.NewReplacer("{node}", "node", "{address}", "192.0.2.1").Replace(host)
}

// dockerHost checks an address that may hold placeholders, and returns its scheme.
func (l *loader) dockerHost(v value) string {
	plain := dockerSample(v.text)
	u, err := url.Parse(plain)
	fits := err == nil && u.User == nil && u.RawQuery == "" && u.Fragment == "" && !strings.ContainsAny(plain, "{} ")
	if fits {
		switch u.Scheme {
		case "unix":
			fits = u.Path != "" && u.Host == ""
		case "tcp", "http", "https":
			fits = hasHost(u) && strings.Trim(u.Path, "/") == ""
		default:
			fits = false
		}
	}
	if !fits {
		l.errorf(v.at, `write "tcp://{address}:2376" or "unix:///var/run/docker.sock"; {node} and {address} are all that is filled in`,
			"%s is not the address of a Docker daemon", v.name)
		return "tcp"
	}
	return u.Scheme
}

// hasHost reports whether u names a host, and a port that exists if any.
func hasHost(u *url.URL) bool {
	if u.Port() != "" {
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
			return false
		}
	}
	return u.Hostname() != ""
}
