package config

import (
	"fmt"
	"strings"
	"time"
)

// The defaults.
const (
	defaultBind            = ":2222"
	defaultSessions        = 10
	defaultConnections     = 500
	defaultIdle            = time.Hour
	defaultUserConnections = 20
	defaultUserSessions    = 40
	defaultUserPrograms    = 20
	defaultUserLogs        = 100
	defaultUserCommands    = 6000
	defaultAuthFailPenalty = 5 * time.Second
	defaultMinPenalty      = 15 * time.Second
	defaultMaxPenalty      = 10 * time.Minute
	defaultRawUser         = "nobody"
)

// Section documents a table of the configuration. Table has an example name where users choose one.
type Section struct {
	Table string
	About string
	Keys  []Key
}

// Key documents a key.
type Key struct {
	Example  string // a line of TOML
	Optional bool   // Example is commented out in the example file
	About    string
}

// Reference documents every key, in the order of the example file. deploy/nomadctld.toml and docs/config.md are
// generated from it. A test compares it with the schema.
var Reference = []Section{
	{Table: "general", About: "", Keys: []Key{
		{
			`hostkey = ["/etc/nomadctld/hostkey"]`, false,
			"The gateway's SSH host keys, one file or a list. Back these files up: if the keys change, every client " +
				"gets a host key warning. To create one: ssh-keygen -t ed25519 -N '' -f /etc/nomadctld/hostkey.",
		},
		{fmt.Sprintf("bind = %q", defaultBind), false, `Listen address. Default ":2222" (all interfaces).`},
		{
			`proxy = ["10.0.0.5"]`, true,
			"Addresses and networks of TCP load balancers that send a PROXY protocol header, version 1 or 2. The gateway " +
				"then uses the client's address in its logs, for limits, and for the networks in from. Connections from these " +
				"addresses without a header are closed, and so are connections with a header from all others. Default: none.",
		},
		{
			`control = "/run/nomadctld/control.sock"`, true,
			"A unix socket for nomadctld reload and nomadctld drain. Only root and the gateway's user can use it. " +
				"Default: none.",
		},
		{
			`dockerport = "2375"`, true,
			"Port of the nodes' Docker daemons if docker.host has no port. Default 2375, or 2376 with docker.tls.",
		},
		{
			`dockerapi = "1.44"`, true,
			"Docker API version to use with daemons that support it. With other daemons, and by default, the " +
				"gateway negotiates the newest version that both support.",
		},
		{
			`nomadbinary = "/usr/local/bin/nomad"`, true,
			"The nomad binary that the command raw runs, Nomad 1.7 or newer. Default: none, so raw is not " +
				"available.",
		},
	}},
	{Table: "alias", About: "Aliases for command lines: ssh gw psp runs psp. If a command has the same " +
		"name, the alias is ignored.", Keys: []Key{
		{
			`psp = "ps --tier production"`, false,
			"The command line of psp. Arguments after the alias are appended to it.",
		},
	}},
	{Table: "nomad.production", About: "A tier is all or part of a Nomad cluster.", Keys: []Key{
		{`url = "https://nomad.service.consul:4646"`, false, "Address of the Nomad HTTP API."},
		{`prefix = ["p-"]`, false, "Job ID prefixes of this tier. Jobs with other prefixes are not in it."},
		{`alias = ["prod"]`, true, "Other names of the tier, for --tier and raw."},
		{
			`token = "/etc/nomadctld/token-production"`, false,
			"File with the Nomad ACL token. nomadctld-policy.hcl lists the capabilities that it needs. The gateway " +
				"reads the file for every command, so you can replace it at any time. Default: no token.",
		},
	}},
	{Table: "nomad.production.tls", About: "TLS settings for an https url.", Keys: []Key{
		{
			`ca = "/etc/nomadctld/nomad-ca.pem"`, true,
			"PEM file with the CA of Nomad's certificate. Default: the system's CAs.",
		},
		{
			`cert = "/etc/nomadctld/nomad-cert.pem"`, true,
			"PEM file with the gateway's client certificate, if Nomad requires one (verify_https_client).",
		},
		{`key = "/etc/nomadctld/nomad-key.pem"`, true, "PEM file with the private key of cert."},
		{
			`servername = "server.global.nomad"`, true,
			"Name in Nomad's certificate. Default: the host of url. Certificates that Nomad's tools create have " +
				"server.REGION.nomad.",
		},
	}},
	{Table: "prefix.team1", About: "A prefix group grants commands on the jobs with certain prefixes.", Keys: []Key{
		{
			`prefix = ["p-team1-"]`, false,
			`Job ID prefixes. End each with a dash: "p-team1" also matches p-team10. The item "raw" grants the ` +
				`raw right.`,
		},
		{
			`commands = ["@read", "@enter", "restart"]`, false,
			"Commands, and the sets @read, @enter, @operate and @admin. Default: all commands except those of " +
				"@admin. An empty list grants nothing.",
		},
		{`namespaces = ["default"]`, true, "Nomad namespaces. Default: all. An empty list grants nothing."},
		{
			`from = ["10.0.0.0/8"]`, true,
			"Networks and addresses of the clients to which the group grants its commands. Default: all.",
		},
		{
			`require = ["cert"]`, true,
			`Grant the commands only to logins with a certificate ("cert"), with a FIDO security key ("sk"), or with ` +
				`a certificate for a security key (both). For some of the commands: require = { "@operate" = ["cert"] }.`,
		},
	}},
	{
		Table: "prefix.team1.limits",
		About: "Limits for all users of the group together, as in [limits.user], except that a login never fails because " +
			"of them. Default: none.",
		Keys: []Key{
			{fmt.Sprintf("connections = %d", 4*defaultUserConnections), true, "Connections."},
			{fmt.Sprintf("sessions = %d", 4*defaultUserSessions), true, "Running commands."},
			{fmt.Sprintf("programs = %d", 2*defaultUserPrograms), true, "Programs of exec and attach on one cluster."},
			{fmt.Sprintf("logs = %d", 2*defaultUserLogs), true, "Task logs on one cluster."},
			{fmt.Sprintf("commands = %d", 4*defaultUserCommands), true, "Commands that start within a minute."},
		},
	},
	{Table: "users.ann", About: "A user. ann is the login: ssh ann@gw, with one of the keys.", Keys: []Key{
		{`name = "Ann"`, false, "Full name, for whoami and help. Default: the login."},
		{`key = "ssh-ed25519 AAAA..."`, false, "Public key: the line of a .pub file. For several keys, use keys."},
		{`keys = ["ssh-ed25519 AAAA..."]`, true, "List of public keys. The user can log in with any of them."},
		{
			`keysfile = "/etc/nomadctld/keys/ann"`, true,
			"File with more public keys of the user, and with CAs for this user, in sshd's authorized_keys format. " +
				"Options that the gateway cannot enforce are errors (docs/certificates.md).",
		},
		{
			"cert = true", true,
			"The user can log in with a certificate that auth.userca signed and that has the login as a principal. " +
				"Default false.",
		},
		{`from = ["10.0.0.0/8"]`, true, "Networks and addresses from which the user can log in. Default: all."},
		{`prefix = ["team1"]`, false, "Names of [prefix.NAME] groups."},
	}},
	{Table: "docker", About: "How exec, logs, tail and attach connect to tasks. di always uses Docker.", Keys: []Key{
		{fmt.Sprintf("exec = %q", ExecAuto), false, execModesText},
		{
			`host = "tcp://{node}:2376"`, false,
			"Address of the Docker daemons. {node} is the node's name. {address} is its IP address, which needs the " +
				"node rule of nomadctld-policy.hcl. unix:///var/run/docker.sock works too. Default tcp://{node} with " +
				"the port of general.dockerport. Without TLS, anyone who can connect to that port is root on the node.",
		},
		{
			`refuse = ["raw_exec"]`, true,
			"Task drivers for which exec and attach are refused, for every user. A program in a raw_exec task runs " +
				"on the node as the user of the Nomad client. The command raw is not affected: see raw.allow. " +
				"Default: none.",
		},
	}},
	{Table: "docker.tls", About: "TLS settings for the Docker daemons.", Keys: []Key{
		{
			`ca = "/etc/nomadctld/docker-ca.pem"`, false,
			"PEM file with the CA of the daemons' certificates. Default: the system's CAs.",
		},
		{
			`cert = "/etc/nomadctld/docker-cert.pem"`, true,
			"PEM file with a client certificate that the daemons accept.",
		},
		{`key = "/etc/nomadctld/docker-key.pem"`, true, "PEM file with the private key of cert."},
		{`servername = "docker"`, true, "Name in the daemons' certificates. Default: the host of docker.host."},
	}},
	{Table: "auth", About: "", Keys: []Key{
		{
			`userca = "/etc/nomadctld/user_ca.pub"`, true,
			"File, or list of files, with the public keys of CAs that sign users' SSH certificates, one per line " +
				"(docs/certificates.md).",
		},
		{
			`revoked = "/etc/nomadctld/revoked.krl"`, true,
			"Revoked keys and certificates: a KRL that ssh-keygen -k creates, or a file with one public key or SHA256 " +
				"fingerprint per line.",
		},
		{
			`maxvalidity = "24h"`, true,
			"Refuse certificates with a validity period (valid-after to valid-before) longer than this. Default: no limit.",
		},
		{
			`keysfile = "/etc/nomadctld/keys/%u"`, true,
			"Like keysfile of a user, for every user. %u stands for the login. The file of a user may be missing.",
		},
	}},
	{
		Table: "auth.principals", About: "The name of each setting is a principal. A certificate with that principal gets " +
			"these prefix groups, in addition to those of the user. So people who have no [users.NAME] can log in. Their " +
			"login must be a principal of the certificate.",
		Keys: []Key{
			{`team1-oncall = ["team1"]`, true, "Names of [prefix.NAME] groups."},
		},
	},
	{Table: "audit", About: "The gateway saves job definitions in two directories: audit.jobs, and one with -saved " +
		"appended to that name, for stopped jobs and earlier versions. It deletes files in the second one after 30 days, " +
		"and the oldest files if it exceeds 256 MiB. " +
		"Both must persist across restarts of the gateway, belong to its user, and not be " +
		"writable by anybody else. The files are signed with a key that is derived from the first host key. To replace " +
		"that host key, list the old key after the new one and start the gateway once: it signs the files again. " +
		"Otherwise they can no longer be used.", Keys: []Key{
		{
			`file = "/var/log/nomadctld/audit.jsonl"`, false,
			`Audit log: one JSON object per line, one when a command starts and one when it finishes. "-" is ` +
				`standard output. Default: standard error. The gateway finds programs that were left running after ` +
				`a crash only if this is a file.`,
		},
		{
			"required = true", false,
			"Refuse a command if its start event cannot be written. If the audit log is a file, a command that " +
				"changes something or runs a program is also refused if its event cannot be synced to disk. Default false.",
		},
		{
			`jobs = "/var/lib/nomadctld/jobs"`, false,
			"Directory for the job definitions that restart saves. Default: the directory jobs next to " +
				"audit.file; none if that is not a file.",
		},
		{
			`recordings = "/var/lib/nomadctld/recordings"`, true,
			"Directory for recordings of interactive sessions. The value is checked, but sessions are not recorded " +
				"yet.",
		},
	}},
	{Table: "limits", About: "Limits for all clients. The examples are the defaults.", Keys: []Key{
		{fmt.Sprintf("sessions = %d", defaultSessions), false, "Concurrent sessions on one connection."},
		{fmt.Sprintf("connections = %d", defaultConnections), false, "Authenticated connections of all users."},
		{
			fmt.Sprintf("maxstartups = %q", defaultMaxStartups), false,
			"start:rate:full, as MaxStartups of sshd: limits for connections that have not authenticated. full is their " +
				"maximum. One IPv4 address or one IPv6 /64 may have a quarter of it. A quarter is reserved for addresses from " +
				"which a user has logged in within 12 hours. If the number of connections from other addresses is start or more, " +
				"a new connection closes an older one with a probability of rate percent. The probability rises to 100% when " +
				"all unreserved slots are in use. The closed connection is from the address with the most connections. One " +
				"number N means N:100:N.",
		},
		{
			`idle = "1h"`, false,
			`Close an idle connection after this time. A running command keeps its connection open, unless it has ` +
				`a terminal and nothing was typed or printed: then the connection is closed, and the program gets ` +
				`HUP. "0s" means no timeout. A connection that starts no command within two minutes after the login ` +
				`is always closed. The gateway prints a warning one minute before it closes a session. If the timeout is ` +
				`under two minutes, it prints the warning halfway through.`,
		},
		{
			`lifetime = "12h"`, true,
			"Close a connection, with all that runs in it, when this time has passed since the login. The gateway prints a " +
				"warning five minutes before that. If the lifetime is under ten minutes, it prints the warning halfway " +
				"through. Default: no limit.",
		},
	}},
	{Table: "limits.user", About: "Limits for each user. A command over a limit exits with code 75. The examples are " +
		"the defaults.", Keys: []Key{
		{
			fmt.Sprintf("connections = %d", defaultUserConnections), false,
			"Connections. Five more are accepted, but commands on them only report the limit. Beyond that, the login fails.",
		},
		{fmt.Sprintf("sessions = %d", defaultUserSessions), false, "Running commands, over all connections."},
		{
			fmt.Sprintf("programs = %d", defaultUserPrograms), false,
			"Programs of exec and attach on one cluster. Through Nomad, a cluster has 24 slots for programs. A user " +
				"gets up to a third of them, and more only while another third is free. A request waits up to " +
				"5 seconds. Waiting requests are served round robin by user.",
		},
		{
			fmt.Sprintf("logs = %d", defaultUserLogs), false,
			"Task logs on one cluster. Through Nomad, a cluster has 28 slots for logs, which are shared in the same way. A " +
				"log uses one slot for stdout and one for stderr.",
		},
		{
			fmt.Sprintf("commands = %d", defaultUserCommands), false,
			"Commands that start within a minute. After a minute without commands, this many may start at once.",
		},
	}},
	{Table: "limits.penalties", About: "Penalties for failed logins, as PerSourcePenalties of sshd. An address is an " +
		"IPv4 address or an IPv6 /64. The examples are the defaults.", Keys: []Key{
		{
			`authfail = "5s"`, false,
			"A failed login adds this time to the penalty of the client's address. A connection that offers no key, or does " +
				"not sign with an accepted one, adds 1 second, and one that times out before the login adds 10. The " +
				"penalty decays by a second per second.",
		},
		{`min = "15s"`, false, "If a penalty exceeds this time, connections are refused until it has decayed to zero."},
		{`max = "10m"`, false, `The maximum penalty. "0s" means no penalties.`},
		{
			`exempt = ["127.0.0.0/8", "::1"]`, false,
			"Networks and addresses without penalties, such as those of monitoring and of port forwards.",
		},
	}},
	{Table: "raw", About: "The nomad binary, for users with the raw right.", Keys: []Key{
		{
			`user = "nomadctld-raw"`, true,
			"The user that runs the nomad binary if the gateway is root. Default " + defaultRawUser +
				". While nomad runs, other programs of that user can send requests with the token. Create a " +
				"dedicated account: useradd --system --shell /usr/sbin/nologin nomadctld-raw.",
		},
		{
			`allow = ["job status", "node status"]`, true,
			"Allowed nomad commands. Default: all commands that are known to be safe.",
		},
	}},
	{Table: "metrics", About: "Metrics and health over plain HTTP: see operations.md.", Keys: []Key{
		{
			`bind = "127.0.0.1:9122"`, true,
			"Listen address of /metrics, /healthz and /readyz. A port without a host, such as :9122, means loopback. " +
				"unix:/run/nomadctld/metrics.sock is a unix socket, to which the gateway's group can connect. Anyone who " +
				"can connect can read the metrics. They contain no users, jobs or addresses. Default: off.",
		},
	}},
}

// Example returns a configuration with every key, documented. Optional keys are commented out.
func Example() string {
	var b strings.Builder
	writeComment(&b, "Example of /etc/nomadctld/nomadctld.toml with every key. Keys that are commented out are "+
		"optional. To check a file, run `nomadctld check`: it reports every error, and what to write instead.")
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

// writeComment writes text as comment lines of at most 118 columns.
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
