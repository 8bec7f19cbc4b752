package config

import (
	"fmt"
	"strings"
	"time"
)

// What holds where the file says nothing.
const (
	defaultBind            = ":2222"
	defaultExec            = "auto"
	defaultSessions        = 10
	defaultConnections     = 500
	defaultUnauthenticated = 100
	defaultIdle            = time.Hour
	defaultUserConnections = 20
	defaultUserSessions    = 40
	defaultUserPrograms    = 20
	defaultUserLogs        = 100
	defaultRawUser         = "nobody"
)

// Section is a table of the configuration as people read of it. A name in its path that is theirs to choose is an example.
type Section struct {
	Table string
	About string
	Keys  []Key
}

// Key is a setting.
type Key struct {
	Example  string // a line of TOML
	Optional bool   // the example may be left out, and is not what holds then
	About    string // what it is, for people
}

// Reference explains every setting that there is, in the order in which one meets them. The example of deploy and
// docs/config.md are made from it; a test compares it with the settings that are read.
var Reference = []Section{
	{Table: "general", About: "", Keys: []Key{
		{`hostkey = ["/etc/nomadctld/hostkey"]`, false, "The gateway's own SSH keys, one file or a list: ssh-keygen -t ed25519 -N '' -f /etc/nomadctld/hostkey. Keep them: whoever has been here before is warned when they change."},
		{fmt.Sprintf("bind = %q", defaultBind), false, fmt.Sprintf("Where it listens. Without: %q, which is every address.", defaultBind)},
		{`dockerport = "2375"`, true, "The port of the nodes' Docker daemons where docker.host does not name one."},
		{`dockerapi = "1.44"`, true, "The version of Docker's API, with the daemons that speak it. With others, and without the setting: the newest that both speak."},
		{`nomadbinary = "/usr/local/bin/nomad"`, true, "The nomad binary that the command raw runs, Nomad 1.7 or newer."},
	}},
	{Table: "alias", About: "Command lines with a name of their own: ssh gw psp. A command of the same name wins.", Keys: []Key{
		{`psp = "ps --tier production"`, false, "What psp stands for; what follows it on the line is added."},
	}},
	{Table: "nomad.production", About: "A tier is a Nomad cluster, or a part of one. Tiers may share a cluster.", Keys: []Key{
		{`url = "https://nomad.service.consul:4646"`, false, "The address of Nomad's HTTP API."},
		{`prefix = ["p-"]`, false, "The names of the jobs that live there begin with one of these."},
		{`alias = ["prod"]`, true, "Other names of the tier, for --tier and raw."},
		{`token = "/etc/nomadctld/token-production"`, false, "A file with a token; nomadctld-policy.hcl is what it has to be allowed. It is read for every command, so it can be changed at any time. Without: no token."},
	}},
	{Table: "nomad.production.tls", About: "For https. Without ca: the CAs that the system trusts.", Keys: []Key{
		{`ca = "/etc/nomadctld/nomad-ca.pem"`, true, "The CA of Nomad's certificate, as PEM."},
		{`cert = "/etc/nomadctld/nomad-cert.pem"`, true, "A certificate of the gateway's, where Nomad insists on one."},
		{`key = "/etc/nomadctld/nomad-key.pem"`, true, "The private key to cert."},
		{`servername = "server.global.nomad"`, true, "The name in Nomad's certificate, if it is not that of the url: server.REGION.nomad in Nomad's own."},
	}},
	{Table: "prefix.team1", About: "A prefix group is a share of the jobs, and what may be done with them.", Keys: []Key{
		{`prefix = ["p-team1-"]`, false, `Jobs whose names begin so. End it with a dash: "p-team1" is also p-team10. "raw" among them grants the command raw.`},
		{`commands = ["@read", "@enter", "restart"]`, false, "Commands, or the sets @read, @enter, @operate and @admin. Without: all but @admin. [] is none."},
		{`namespaces = ["default"]`, true, "Nomad's namespaces. Without: every one."},
	}},
	{Table: "users.ann", About: "A user logs in by this name, ssh ann@gw, and a key.", Keys: []Key{
		{`name = "Ann"`, false, "For people to read, in whoami and the audit log."},
		{`key = "ssh-ed25519 AAAA..."`, false, "The line of a .pub file; or several with keys."},
		{`keys = ["ssh-ed25519 AAAA..."]`, true, "Several lines as that of key; each of them gets in."},
		{`prefix = ["team1"]`, false, "The prefix groups that the user is in."},
	}},
	{Table: "docker", About: "How tasks are reached by exec, logs, tail, attach and di.", Keys: []Key{
		{fmt.Sprintf("exec = %q", defaultExec), false, `"auto": through the Docker daemon of the node if it answers, else through Nomad; "docker" or "nomad": only so.`},
		{`host = "tcp://{node}:2376"`, false, `The daemon: {node} is the node's name, {address} its address, which takes node { policy = "read" } in the policy. Also unix:///var/run/docker.sock. Without: tcp://NODE:dockerport, which is root on the node for anyone who can reach that port.`},
		{`refuse = ["raw_exec"]`, true, "Task drivers for which exec and attach are refused, whoever asks. A program in a raw_exec task runs on the node, as the user that the Nomad client runs as. The command raw is not covered: see raw.allow."},
	}},
	{Table: "docker.tls", About: "For the daemons' TLS, as above for Nomad's.", Keys: []Key{
		{`ca = "/etc/nomadctld/docker-ca.pem"`, false, "The CA of the daemons' certificates."},
		{`cert = "/etc/nomadctld/docker-cert.pem"`, true, "A certificate of the gateway's that the daemons accept."},
		{`key = "/etc/nomadctld/docker-key.pem"`, true, "The private key to cert."},
		{`servername = "docker"`, true, "The name in their certificates, if it is not that of host."},
	}},
	{Table: "auth", About: "", Keys: []Key{
		{`userca = "/etc/nomadctld/user_ca.pub"`, true, "Public keys of CAs, one on each line, whose SSH certificates prove a user. Checked, and without effect yet."},
	}},
	{Table: "audit", About: "", Keys: []Key{
		{`file = "/var/log/nomadctld/audit.jsonl"`, false, `One line of JSON when a command starts and one when it has finished. "-" is standard output; without: standard error. After a crash, the gateway can find programs left running only if this is a file.`},
		{"required = true", false, "Run no command whose start event cannot be written. With a file, the event is on disk before anything is changed."},
		{`jobs = "/var/lib/nomadctld/jobs"`, false, "A folder for the definitions that restart --full must not lose. Keep it over restarts of the gateway. It belongs to the gateway's user, and nobody else may write to it. The files are signed with a key that is derived from the first host key: restore interrupted jobs (ops) before you replace that key, or list the old key after the new one for one start. The gateway saves stopped jobs and earlier releases for 30 days, up to 256 MiB, in a second folder, named after this one with -saved appended. Without: the folder jobs beside file."},
		{`recordings = "/var/lib/nomadctld/recordings"`, true, "A folder for what is seen in interactive sessions. Checked, and without effect yet."},
	}},
	{Table: "limits", About: "What clients may take. The numbers are those that hold without.", Keys: []Key{
		{fmt.Sprintf("sessions = %d", defaultSessions), false, "Sessions at a time on one connection."},
		{fmt.Sprintf("connections = %d", defaultConnections), false, "Connections of all users that have logged in."},
		{fmt.Sprintf("unauthenticated = %d", defaultUnauthenticated), false, "Connections that have not authenticated. One address, or one IPv6 /64, may have a quarter of them. A quarter is reserved for addresses from which a user has logged in within 12 hours. If the other slots are 10% full, a new connection may close an older one, from the address that has the most; if they are full, it always does."},
		{`idle = "1h"`, false, `Close an idle connection after this time. A running command without a terminal keeps its connection open. A command with a terminal does not: it is closed, and its program gets HUP. "0s": never.`},
	}},
	{Table: "limits.user", About: "What one user may have at a time. A command beyond a limit exits with 75.", Keys: []Key{
		{fmt.Sprintf("connections = %d", defaultUserConnections), false, "Connections. Five more can log in, so that their commands report the limit; beyond that the login fails."},
		{fmt.Sprintf("sessions = %d", defaultUserSessions), false, "Commands that run, over all connections."},
		{fmt.Sprintf("programs = %d", defaultUserPrograms), false, "Programs, and tasks attached to, on one cluster. Through Nomad a cluster has 24 slots for programs: a user always gets a third of them, and more while a third stays free. Who waits is served in turn by user, for up to 5 seconds."},
		{fmt.Sprintf("logs = %d", defaultUserLogs), false, "Logs of tasks, on one cluster. Through Nomad it has 28 slots for the outputs of tasks, shared out in the same way; a log has two outputs."},
	}},
	{Table: "raw", About: "The nomad binary, for those who are granted raw.", Keys: []Key{
		{`user = "nomadctld-raw"`, true, "The user that runs the nomad binary if the gateway is root. Without: " + defaultRawUser + ". While it runs, other programs of the same user can send requests with the token; give it an account of its own: useradd --system --shell /usr/sbin/nologin nomadctld-raw."},
		{`allow = ["job status", "node status"]`, true, "The commands that are allowed. Without: all that are known to be safe."},
	}},
	{Table: "metrics", About: "", Keys: []Key{
		{`bind = "127.0.0.1:9122"`, true, "Where metrics are served over HTTP. Without: nowhere. Checked, and without effect yet."},
	}},
}

// Example returns a configuration with every setting, explained; those that may be left out are commented out.
func Example() string {
	var b strings.Builder
	writeComment(&b, "An example of /etc/nomadctld/nomadctld.toml with every key there is. Lines that begin with # and a key are settings that may be left out. `nomadctld check` says what is wrong with a file, and what to write instead.")
	for _, s := range Reference {
		b.WriteString("\n")
		writeComment(&b, s.About)
		fmt.Fprintf(&b, "[%s]\n", s.Table)
		for i, k := range s.Keys {
			if i > 0 && k.About != "" {
				b.WriteString("\n")
			}
			writeComment(&b, k.About)
			if k.Optional {
				b.WriteString("#")
			}
			b.WriteString(k.Example + "\n")
		}
	}
	return b.String()
}

// writeComment writes text as a comment of lines that are not too long.
func writeComment(b *strings.Builder, text string) {
	const width = 118
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	if line != "#" {
		b.WriteString(line + "\n")
	}
}
