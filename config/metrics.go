package config

import (
	"net"
	"strings"
)

// metrics reads [metrics].
func (l *loader) metrics(t *table) Metrics {
	defer t.reportUnknownKeys()
	v := t.text("bind", `bind = "127.0.0.1:9122"`)
	if path, ok := strings.CutPrefix(v.text, "unix:"); ok {
		l.checkSocketPath(v, path)
		return Metrics{Bind: v.text}
	}
	bind := l.listenAddress(v, "9122")
	if host, port, err := net.SplitHostPort(bind); err == nil && host == "" {
		bind = net.JoinHostPort("127.0.0.1", port)
	}
	return Metrics{Bind: bind}
}

// checkSocketPath checks the path of a unix socket.
func (l *loader) checkSocketPath(v value, path string) {
	const maxPath = 107 // bytes in sockaddr_un, without the final NUL
	switch {
	case !strings.HasPrefix(path, "/"):
		l.errorf(v.at, `write unix: and an absolute path, such as "unix:/run/nomadctld/metrics.sock"`,
			"%s is not the path of a socket: %s", v.name, quote(v.text))
	case len(path) > maxPath:
		l.errorf(v.at, "choose a shorter path", "%s: the path of a unix socket can have at most %d bytes: %s",
			v.name, maxPath, quote(v.text))
	default:
		l.checkParentDirs(v.at, v.name, path)
	}
}
