package config_test

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"nomadctld/config"
)

// validConfig loads without diagnostics.
const validConfig = `[general]
hostkey = "hostkey"
[nomad.production]
url = "http://nomad.example:4646"
prefix = ["p-"]
[prefix.lnx]
prefix = ["p-"]
[users.wim]
key = "` + wim + `"
prefix = ["lnx"]
`

const (
	wim = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIADslxyOM3yNpnVBrRO7U4zB9y3C2mVhB1CvWDN/lmgF wim"
	bob = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID7ih6mXcJPxTHdwigm+XOXC8768Lzfo4S5dAYSunh4R bob"
)

// checkPrintable fails the test if a diagnostic is not one printable line.
func checkPrintable(t testing.TB, d config.Diagnostic) {
	t.Helper()
	s := d.String()
	if strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) || d.Message == "" {
		t.Errorf("got the diagnostic %q, want one printable line", s)
	}
}

// load is config.Load without two warnings that most configurations here would cause: about the defaults of docker.host
// and, for root, raw.user.
func load(name string) (*config.Config, []config.Diagnostic) {
	cfg, diagnostics := config.Load(name, commands)
	return cfg, slices.DeleteFunc(diagnostics, func(d config.Diagnostic) bool {
		return d.Warning && (strings.HasPrefix(d.Message, "docker.host is not set") ||
			strings.HasPrefix(d.Message, `raw.user is "nobody"`))
	})
}

// loadText loads text as nomadctld.toml in a new fixture.
func loadText(t *testing.T, text string) (*config.Config, []config.Diagnostic) {
	t.Helper()
	inFixture(t)
	write(t, "nomadctld.toml", []byte(text))
	return load("nomadctld.toml")
}

// editValid returns validConfig with pairs of old and new text replaced.
func editValid(t *testing.T, pairs ...string) string {
	t.Helper()
	text := validConfig
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("validConfig does not contain %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// The example of the original loads once its quote is fixed and its files exist.
func TestLoad_OriginalExampleWarns(t *testing.T) {
	text := strings.NewReplacer(
		"/etc/ssh/ssh_host_rsa_key", "hostkey-rsa",
		"/etc/nomadctld/", "", "/usr/bin/nomad", "nomad",
		"ssh-ed25519 ABCEC4NzaC1lZDI2NTE5AADAIB3m1na7Lu74koUa5EYPvEk7xCXiwtToar73gl9w9MND", wim,
		"ssh-ed25519 ABCEC4NzaC1lZDI2NTE5AADAIB3m1na7Lu74koUa5EYPvEk7xCXiwtToar73gl9abcde", bob,
	).Replace(string(read(t, testdata(t, "original.toml"))))
	cfg, diagnostics := loadText(t, text)
	const token = "the token is sent to another machine without TLS, and anyone on the network path can read it; use " +
		"https://"
	want := strings.ReplaceAll(`
nomadctld.toml:6:11: warning: general.dockerapi is "1.24", but Docker 29 and newer need at least 1.44:
	the gateway negotiates the version with those daemons; remove the line to negotiate with every daemon
nomadctld.toml:12:1: warning: alias.status has the name of a built-in command, which always wins; rename or remove it
nomadctld.toml:16:5: warning: nomad.production.url: `+token+`
nomadctld.toml:23:5: warning: nomad.quality.url: `+token+`
nomadctld.toml:30:5: warning: nomad.test.url: `+token+`
nomadctld.toml:58:9: warning: item 1 of users.user2.prefix ("team2") is not a prefix group and grants nothing,
	so the user owns no jobs and cannot log in; did you mean "team1"?
`, "\n\t", " ")[1:]
	if got := formatDiagnostics(diagnostics); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if cfg == nil {
		t.Fatal("got no config, want one")
	}
	if got, want := cfg.Summary(), "3 tiers (production, quality, test), 2 users, 2 prefix groups"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := cfg.Aliases["status"], "raw alles status"; got != want {
		t.Errorf("got the alias %q, want %q", got, want)
	}
	if g := cfg.Groups["lnx"]; !g.Raw || !reflect.DeepEqual(g.Prefixes, []string{"p-", "q-", "t-"}) {
		t.Errorf("got the group %+v, want raw and three prefixes", g)
	}
	if got := cfg.Users[0].Groups; cfg.Users[0].Name != "user2" || got != nil {
		t.Errorf("got first user %q with groups %v, want user2 with none", cfg.Users[0].Name, got)
	}
}

func TestSummary_Singular(t *testing.T) {
	cfg, _ := loadText(t, validConfig)
	if got, want := cfg.Summary(), "1 tier (production), 1 user, 1 prefix group"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Configurations that load with at most one warning. want is part of the warning, or empty for none.
func TestLoad_AtMostOneWarning(t *testing.T) {
	for _, test := range []struct {
		name, old, new, want string
	}{
		{
			"prefix without a dash in a group", `prefix = ["p-"]` + "\n[users", `prefix = ["p-team1"]` + "\n[users",
			`item 1 of prefix.lnx.prefix ("p-team1") also matches jobs such as p-team10; write "p-team1-"`,
		},
		{"raw as the prefix of a tier", `["p-"]`, `["p-", "raw"]`, `write "raw-"`},
		{"raw in a group", "[\"p-\"]\n[users", "[\"p-\", \"raw\"]\n[users", ""},
		{"raw alone in a group", "[\"p-\"]\n[users", "[\"raw\"]\n[users", `contains "raw" but no job prefix`},
		{"raw as root", "[prefix.lnx]", "[raw]\nuser = \"\"\n[prefix.lnx]", "nomad runs as root"},
		{"every job of a tier", `["p-"]`, `[""]`, "matches every job"},
		{"every job for a group", "[\"p-\"]\n[users", "[\"\"]\n[users", "matches every job"},
		{"group that grants nothing", "[\"p-\"]\n[users", "[]\n[users", "the group grants nothing"},
		{"no commands", "[users.wim]", "commands = []\n[users.wim]", "prefix.lnx.commands is empty"},
		{"group that does not exist", `["lnx"]`, `["lnx", "LXN"]`, `did you mean "lnx"?`},
		{"user without a group", `["lnx"]`, `[]`, `"wim" owns no jobs`},
		{
			"key given twice", `key = "` + wim, `keys = ["` + wim + `"]` + "\nkey = \"" + wim,
			"the same as another key of this user",
		},
		{
			"two users with one key", "[users.wim]", "[users.bob]\nprefix = [\"lnx\"]\nkey = \"" + wim + "\"\n[users.wim]",
			"users.wim.key is also a key of users.bob, line 10: its holder can choose which of the two names is in " +
				"the audit log; give each user their own key",
		},
		{"login in another case", "[users.wim]", "[users.Wim]", `the original nomadctld read it as "wim"`},
		{
			"alias that shadows a command", "[nomad", "[alias]\nps = \"ps --tier production\"\n[nomad",
			"which always wins",
		},
		{
			"certificates instead of users", "[users.wim]\nkey = \"" + wim + "\"\nprefix = [\"lnx\"]\n",
			"[auth]\nuserca = \"user_ca.pub\"\nprincipals.oncall = [\"lnx\"]\n", "",
		},
		{
			"certificates instead of a key", `[users.wim]` + "\nkey = \"" + wim + `"`,
			"[auth]\nuserca = \"user_ca.pub\"\n[users.wim]\ncert = true", "",
		},
		{
			"one cluster, one prefix, two tiers", "[prefix.lnx]",
			"[nomad.test]\nurl = \"http://NOMAD.example:4646/\"\nprefix = [\"p-\"]\n[prefix.lnx]", "",
		},
		{"explicit parent tables", "[prefix.lnx]", "[prefix]\n[prefix.lnx]", ""},
		{"port as a number", "[nomad", "dockerport = 4243\n[nomad", ""},
		{"empty versions and hosts", "[nomad", "dockerapi = \"\"\n[docker]\nhost = \"\"\n[nomad", ""},
		{"a version that Docker 29 supports", "[nomad", "dockerapi = \"1.44\"\n[nomad", ""},
		{
			"a version that Docker 29 does not support", "[nomad", "dockerapi = \"1.24\"\n[nomad",
			`general.dockerapi is "1.24", but Docker 29`,
		},
		{"drivers of Nomad", "[nomad", "[docker]\nrefuse = [\"raw_exec\", \"exec\"]\n[nomad", ""},
		{
			"third-party driver", "[nomad", "[docker]\nrefuse = [\"firecracker-task-driver\"]\n[nomad",
			"not one of Nomad's own task drivers",
		},
		{"misspelt driver", "[nomad", "[docker]\nrefuse = [\"raw-exec\"]\n[nomad", `did you mean "raw_exec"?`},
		{"no drivers", "[nomad", "[docker]\nrefuse = []\n[nomad", "no driver is refused"},
		{"unix socket", "[nomad", "[docker]\nhost = \"unix:///run/{node}.sock\"\n[nomad", ""},
		{"carriage returns", "\n", "\r\n", ""},
		{"byte order mark", "[general]", "\uFEFF[general]", ""},
		{"tables in any order", "[users.wim]", "[docker.tls]\nca = \"ca.pem\"\n[docker]\nexec = " +
			"\"auto\"\n[users]\n[users.wim]", ""},
		{"dotted keys", "[users.wim]", "[docker]\ntls.ca = \"ca.pem\"\ntls . 'servername' = \"x\"\n[users.wim]", ""},
		{"inline table", "[users.wim]", "[limits]\nidle = \"0s\"\n[docker]\ntls = {ca = \"ca.pem\"}\n[users.wim]", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := editValid(t, test.old, test.new)
			cfg, diagnostics := loadText(t, text)
			if cfg == nil {
				t.Fatalf("got no config, want one:\n%s", formatDiagnostics(diagnostics))
			}
			if test.want == "" {
				if len(diagnostics) > 0 {
					t.Errorf("got, want nothing:\n%s", formatDiagnostics(diagnostics))
				}
				return
			}
			if len(diagnostics) != 1 || !diagnostics[0].Warning ||
				!strings.Contains(formatDiagnostics(diagnostics), test.want) {
				t.Errorf("got:\n%s\nwant one warning with %q", formatDiagnostics(diagnostics), test.want)
			}
		})
	}
}

// An empty list grants nothing. It must differ from an absent list, which grants the default.
func TestLoad_EmptyListIsNotNil(t *testing.T) {
	cfg, _ := loadText(t, editValid(t, "[users.wim]", "commands = []\nnamespaces = []\n[users.wim]"))
	if g := cfg.Groups["lnx"]; g.Commands == nil || g.Namespaces == nil {
		t.Errorf("got %#v, want empty lists that are not nil", g)
	}
}

func TestLoad_UnreadableFile(t *testing.T) {
	inFixture(t)
	write(t, "large", bytes.Repeat([]byte("#\n"), 2<<20+1))
	write(t, "latin1", []byte("[users.wim]\nname = \"Jos\xe9\"\n"))
	write(t, "utf16", []byte("\xff\xfe[\x00g\x00"))
	write(t, "none", nil)
	write(t, "closed", []byte(validConfig))
	if err := os.Chmod("closed", 0); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"missing":   "missing: the config file does not exist; create it, or correct the path",
		"directory": "directory: the config file is a directory; name a file in it",
		"large":     "large: the config file is larger than 4 MiB; check that it is the right file",
		"latin1":    "latin1:2:12: byte 0xe9 is not valid UTF-8; save the file as UTF-8",
		"utf16":     "utf16:1:1: byte 0xff is not valid UTF-8; save the file as UTF-8",
		"none":      "none: the config file contains no settings; copy the example from the README",
		"closed": "closed: the config file cannot be read: permission denied; make it readable by the user " +
			"that nomadctld runs as",
		"hostkey/no":      "hostkey/no: the config file cannot be read: not a directory; correct the path",
		"\x1b[31m\n.toml": `\x1b[31m\n.toml: the config file does not exist; create it, or correct the path`,
	} {
		if name == "closed" && os.Geteuid() == 0 {
			continue // root can read it
		}
		cfg, diagnostics := config.Load(name, commands)
		if got := formatDiagnostics(diagnostics); cfg != nil || got != want+"\n" {
			t.Errorf("%q: got %v and %q, want no config and %q", name, cfg, got, want)
		}
	}
}

func TestLoad_RereadsFile(t *testing.T) {
	if cfg, diagnostics := loadText(t, validConfig); cfg == nil {
		t.Fatalf("got no config:\n%s", formatDiagnostics(diagnostics))
	}
	write(t, "nomadctld.toml", []byte("["))
	if cfg, diagnostics := config.Load("nomadctld.toml", commands); cfg != nil || len(diagnostics) != 1 {
		t.Errorf("got %v and %d diagnostics, want none and 1", cfg, len(diagnostics))
	}
	write(t, "nomadctld.toml", []byte(validConfig))
	if cfg, diagnostics := load("nomadctld.toml"); cfg == nil || len(diagnostics) != 0 {
		t.Errorf("got %v and %d diagnostics, want a config and 0", cfg, len(diagnostics))
	}
}

func TestLoad_UserCAMustHoldKeys(t *testing.T) {
	inFixture(t)
	write(t, "comments.pub", []byte("# none yet\n"))
	write(t, "options.pub", []byte("cert-authority "+wim+"\n"))
	for name, want := range map[string]string{
		"comments.pub": "contains no SSH key",
		"options.pub":  "has options before the key",
		"two-lines":    "is not an SSH key",
		"hostkey":      "is a private key",
	} {
		write(t, "nomadctld.toml", []byte(validConfig+"[auth]\nuserca = \""+name+"\"\n"))
		cfg, diagnostics := load("nomadctld.toml")
		if cfg != nil || len(diagnostics) != 1 || !strings.Contains(formatDiagnostics(diagnostics), want) {
			t.Errorf("%s: got %v and:\n%s\nwant no config and one diagnostic with %q", name, cfg,
				formatDiagnostics(diagnostics), want)
		}
	}
}

func TestDiagnostic_IsOneLine(t *testing.T) {
	for want, d := range map[string]config.Diagnostic{
		"f.toml:12:3: broken; fix it":      {File: "f.toml", Line: 12, Column: 3, Message: "broken", Hint: "fix it"},
		"f.toml:12: warning: odd":          {File: "f.toml", Line: 12, Warning: true, Message: "odd"},
		`f\n.toml: \x1b[2J\u202eevil; \t!`: {File: "f\n.toml", Message: "\x1b[2J\u202eevil", Hint: "\t!"},
	} {
		if got := d.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
