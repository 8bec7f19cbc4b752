package main

import (
	"fmt"
	"strings"

	"nomadctld/router"
)

// clientPage returns the manual page of the script nomadctl.
func clientPage() string {
	var b strings.Builder
	b.WriteString(pageHeader("NOMADCTL", 1) + clientIntro)
	b.WriteString(".SH COMMANDS\nThose that you may use are listed by\n.B nomadctl\nwithout arguments.\n")
	for _, spec := range visibleCommands() {
		fmt.Fprintf(&b, ".SS %s\n", roff(spec.Usage()))
		b.WriteString(paragraphs(spec.Short + "."))
		if spec.Long != "" {
			b.WriteString(".PP\n" + paragraphs(spec.Long))
		}
		if flags := spec.FlagUsages(); flags != "" {
			b.WriteString(".PP\nFlags:\n" + verbatim(flags))
		}
	}
	return b.String() + clientRest
}

// serverPage returns the manual page of the gateway.
func serverPage() string {
	var b strings.Builder
	b.WriteString(pageHeader("NOMADCTLD", 8) + serverIntro)
	b.WriteString(".SH RIGHTS\nA prefix group of the configuration grants rights by name or by set.\n")
	for _, s := range router.RightSets {
		fmt.Fprintf(&b, ".TP\n.B %s\nTo %s:\n%s.\n", roff(string(s.Set)), roff(s.About), roff(strings.Join(router.ExpandGrants([]string{string(s.Set)}), ", ")))
	}
	b.WriteString(".SH COMMANDS OF THE GATEWAY\nWhat its users can run there, as far as they have the rights;\n.BR nomadctl (1)\nexplains each.\n")
	for _, spec := range visibleCommands() {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s.\n", roff(strings.TrimSpace(spec.Name+" "+spec.Args)), roff(spec.Short))
	}
	return b.String() + serverRest
}

// pageDate is when what is not generated here was last gone over. A page needs a date, and one of today would always be stale.
const pageDate = "2026-11-22"

func pageHeader(name string, section int) string {
	return fmt.Sprintf(".\\\" Written by make generate.\n.TH %s %d %s nomadctld\n", name, section, pageDate)
}

// roff returns text so that nothing in it is a request, an escape or a typographic sign.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`, "'", `\(aq`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

// paragraphs returns paragraphs. Those of which a line is indented stay as they are.
func paragraphs(s string) string {
	var b strings.Builder
	for i, paragraph := range strings.Split(strings.TrimSpace(s), "\n\n") {
		if strings.HasPrefix(paragraph, " ") || strings.Contains(paragraph, "\n ") {
			b.WriteString(verbatim(paragraph + "\n"))
			continue
		}
		if i > 0 {
			b.WriteString(".PP\n")
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			b.WriteString(roff(line) + "\n")
		}
	}
	return b.String()
}

// verbatim returns whole lines that are shown as they are.
func verbatim(lines string) string {
	var b strings.Builder
	b.WriteString(".PP\n.nf\n")
	for line := range strings.Lines(lines) {
		b.WriteString(roff(line))
	}
	return b.String() + ".fi\n"
}

const clientIntro = `.SH NAME
nomadctl \- run the commands of a nomadctld gateway over ssh
.SH SYNOPSIS
.B nomadctl
.RB [ \-s
.IR NAME ]
.RB [ \-t | \-T ]
.I COMMAND
.RI [ ARG ...]
.br
.B nomadctl setup
.RB [ \-\-user
.IR USER ]
.RB [ \-\-key
.IR FILE ]
.RB [ \-\-accept
.IR FINGERPRINT ]
.RB [ \-\-replace ]
.I NAME HOST\fR[:\fIPORT\fR]
.br
.B nomadctl completion
.BR bash | zsh | fish
.SH DESCRIPTION
.B nomadctl
is a shell script around
.BR ssh (1).
It quotes each argument so that it arrives as it was typed, asks for a terminal where the command wants one and standard
input and output are terminals, and uses one connection for many commands, which stays open for ten minutes.
.PP
Without arguments it lists the commands that you may use, as the gateway says; without a gateway, the list that came with
the script.
.SH OPTIONS
.TP
.BI \-s " NAME"
The gateway of that name; else the one called default, else the first of the configuration.
.TP
.BR \-t ", " \-T
Ask for a terminal, or for none, whatever the command is.
.TP
.B \-\-help
Show how to use it.
.TP
.B \-\-version
Show the version of the script.
.SH SETUP
.B nomadctl setup
writes a gateway into the configuration and shows the fingerprints of its host keys. They are recorded only if you say yes
on a terminal, or if one of them is the
.I FINGERPRINT
after
.BR \-\-accept ;
that key alone is recorded then. With
.B \-\-replace
it changes a gateway of that name: host and port, and user and key if they are given; given as \(aq\(aq they are
forgotten. What else is said of it stays, ssh_options too.
.SH COMPLETION
.B nomadctl completion
writes what makes a shell complete commands, flags, and your own jobs and tasks. In ~/.bashrc:
.PP
.\" not run: it is for the file of an interactive shell; nomadctl_test.go completes in each of them
.nf
source <(nomadctl completion bash)
.fi
.PP
In ~/.zshrc, after compinit:
.PP
.\" not run: as above
.nf
source <(nomadctl completion zsh)
.fi
.PP
For fish, once:
.PP
.\" not run: as above
.nf
mkdir \-p ~/.config/fish/completions && nomadctl completion fish > ~/.config/fish/completions/nomadctl.fish
.fi
`

const clientRest = `.SH FILES
.TP
.I ~/.config/nomadctl/config
The gateways, or in $XDG_CONFIG_HOME. A section for each, with host and, where needed, port, user, key and ssh_options.
The last are split at spaces. Nothing in it is run.
.TP
.I ~/.config/nomadctl/known_hosts
Host keys that setup has recorded. Those of
.I ~/.ssh/known_hosts
count too, as does
.IR ~/.ssh/config .
.TP
.I $XDG_RUNTIME_DIR/nomadctl
The sockets of shared connections; without that folder
.IR ~/.cache/nomadctl .
It is refused when others can write it.
.SH ENVIRONMENT
.TP
.B NOMADCTL_HOST
A gateway that is in no file, with
.BR NOMADCTL_PORT ,
.BR NOMADCTL_USER ,
.B NOMADCTL_KEY
and
.BR NOMADCTL_SSH_OPTIONS .
Without NOMADCTL_HOST those replace what the file says; with it they do not matter to a gateway that
.B \-s
names.
.TP
.B NO_COLOR
Passed on to the gateway: no colours.
.SH EXIT STATUS
That of the command: 0; 1 when it was tried and failed; 2 when the command line is wrong; 130 after Ctrl\-C on a
terminal, 0 where that is the only end (tail, \-\-watch); 255 when Ctrl\-C ends ssh, which it does without one; that of a
program that it ran. 2 also when the configuration is wrong; 255 when there is no connection.
.SH EXAMPLES
.\" not run: the gateway is one of yours; nomadctl_test.go does the same with its own
.nf
nomadctl setup \-\-user ann work gateway.example.org:2222
nomadctl ps
nomadctl exec 45fed1138a sh \-c \(aqecho "a  b"\(aq
nomadctl \-s work logs p\-team1\-web | grep error
.fi
.SH SEE ALSO
.BR ssh (1),
.BR nomadctld (8)
`

const serverIntro = `.SH NAME
nomadctld \- an SSH gateway between teams and their Nomad clusters
.SH SYNOPSIS
.B nomadctld
.RB [ \-config
.IR FILE ]
.br
.B nomadctld
.RB [ \-config
.IR FILE ]
.B check
.br
.B nomadctld
.RB [ \-config
.IR FILE ]
.B health
.br
.B nomadctld demo
.RI [ COMMAND ...]
.br
.B nomadctld version
.SH DESCRIPTION
.B nomadctld
is an SSH server. Who has a key in its configuration sees, enters and changes the jobs of the prefixes that go with it,
and nothing else. No Nomad token leaves it.
.PP
Without a command it serves, until SIGTERM or SIGINT: then it takes no new connections, gives what runs five seconds, and up
to twelve more until programs have ended. A second one of these signals ends it at once. SIGHUP changes nothing: a changed
configuration needs a restart.
.TP
.B check
Say what is wrong with the configuration, with the line and what to write instead, or that nothing is.
.TP
.B health
Say whether a gateway with this configuration answers on this machine, in one line.
.TP
.B demo
Run a gateway to three simulated clusters on the loopback address;
.I COMMAND
runs just that.
.TP
.B version
Show the version.
.SH OPTIONS
.TP
.BI \-config " FILE"
The configuration; else
.I nomadctld.toml
in the current folder, else
.IR /etc/nomadctld/nomadctld.toml .
.SH CONFIGURATION
It is TOML, read at the start: a changed file needs a restart.
.I docs/config.md
of the project explains every key.
.TP
.B [general]
The host keys and the address to listen on.
.TP
.BI [nomad. TIER ]
A cluster, or a part of one: its URL, its token, and the prefixes of the jobs that live there.
.TP
.BI [prefix. GROUP ]
Prefixes of jobs, and the commands that its users have on them.
.TP
.BI [users. LOGIN ]
Name, keys and prefix groups.
.TP
.BR [alias] ", " [docker] ", " [audit] ", " [raw] ", " [limits]
Short names for command lines; how tasks are reached through Docker; the audit log; the nomad binary; limits.
.TP
.BR [auth] ", " [metrics]
Known, and without effect yet.
`

const serverRest = `.SH EXIT STATUS
0; 1 when it could not serve, the configuration is wrong, or nothing answered
.BR health ;
2 when the command line is wrong. That of
.B demo
.I COMMAND
is the command's.
.SH FILES
.TP
.I /etc/nomadctld/nomadctld.toml
The configuration.
.SH SEE ALSO
.BR nomadctl (1),
.BR ssh (1)
`
