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

// validConfig is a config without any fault.
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

// checkPrintable fails the test for a fault that could not be shown as one line.
func checkPrintable(t testing.TB, f config.Diagnostic) {
	t.Helper()
	s := f.String()
	if strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) || f.Message == "" {
		t.Errorf("got the fault %q, want one printable line", s)
	}
}

// load is config.Load without the warnings of what holds without docker.host, and without raw.user for root: they are about
// most configurations here.
func load(name string) (*config.Config, []config.Diagnostic) {
	cfg, faults := config.Load(name, commands)
	return cfg, slices.DeleteFunc(faults, func(f config.Diagnostic) bool {
		return f.Warning && (strings.HasPrefix(f.Message, "docker.host is missing") || strings.HasPrefix(f.Message, `raw.user is "nobody"`))
	})
}

// loadText loads text as nomadctld.toml in a fresh fixture.
func loadText(t *testing.T, text string) (*config.Config, []config.Diagnostic) {
	t.Helper()
	inFixture(t)
	write(t, "nomadctld.toml", []byte(text))
	return load("nomadctld.toml")
}

// editValid is good with pairs of old and new text replaced.
func editValid(t *testing.T, pairs ...string) string {
	t.Helper()
	text := validConfig
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the good config does not hold %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// The original's example loads as soon as its quote is mended and what it names exists.
func TestLoad_OriginalExampleWarns(t *testing.T) {
	text := strings.NewReplacer(
		"/etc/ssh/ssh_host_rsa_key", "hostkey-rsa",
		"/etc/nomadctld/", "",
		"ssh-ed25519 ABCEC4NzaC1lZDI2NTE5AADAIB3m1na7Lu74koUa5EYPvEk7xCXiwtToar73gl9w9MND", wim,
		"ssh-ed25519 ABCEC4NzaC1lZDI2NTE5AADAIB3m1na7Lu74koUa5EYPvEk7xCXiwtToar73gl9abcde", bob,
	).Replace(string(read(t, testdata(t, "original.toml"))))
	cfg, faults := loadText(t, text)
	const token = "the token is sent to another machine without TLS, and anyone on the network path can read it; write https://"
	want := `nomadctld.toml:6:11: warning: general.dockerapi is "1.24", but Docker 29 and newer speak only 1.44 and newer: with such daemons the gateway negotiates; remove the line to negotiate a version with every daemon
nomadctld.toml:12:1: warning: alias.status shadows a command: the built-in command wins; remove it, or give it another name
nomadctld.toml:16:5: warning: nomad.production.url: ` + token + `
nomadctld.toml:23:5: warning: nomad.quality.url: ` + token + `
nomadctld.toml:30:5: warning: nomad.test.url: ` + token + `
nomadctld.toml:58:9: warning: item 1 of users.user2.prefix, "team2", is no prefix group, so it grants nothing, and the user owns nothing and is refused at login; did you mean "team1"?
`
	if got := formatDiagnostics(faults); got != want {
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

// What is harmless, or merely unwise, loads; want is part of the only warning, or empty for none.
func TestLoad_AtMostOneWarning(t *testing.T) {
	for _, test := range []struct {
		name, old, new, want string
	}{
		{
			"prefix without a dash in a group", `prefix = ["p-"]` + "\n[users", `prefix = ["p-team1"]` + "\n[users",
			`item 1 of prefix.lnx.prefix, "p-team1", also matches p-team10; write "p-team1-"`,
		},
		{"raw as the prefix of a tier", `["p-"]`, `["raw"]`, `write "raw-"`},
		{"raw in a group", "[\"p-\"]\n[users", "[\"p-\", \"raw\"]\n[users", ""},
		{"raw alone in a group", "[\"p-\"]\n[users", "[\"raw\"]\n[users", "has raw and no prefix of jobs"},
		{"raw as root", "[prefix.lnx]", "[raw]\nuser = \"\"\n[prefix.lnx]", "nomad runs as root"},
		{"every job of a tier", `["p-"]`, `[""]`, "matches every job"},
		{"every job for a group", "[\"p-\"]\n[users", "[\"\"]\n[users", "matches every job"},
		{"group that grants nothing", "[\"p-\"]\n[users", "[]\n[users", "the group grants nothing"},
		{"no commands", "[users.wim]", "commands = []\n[users.wim]", "prefix.lnx.commands is empty"},
		{"group that does not exist", `["lnx"]`, `["lnx", "LXN"]`, `did you mean "lnx"?`},
		{"user without a group", `["lnx"]`, `[]`, `"wim" owns nothing`},
		{"key given twice", `key = "` + wim, `keys = ["` + wim + `"]` + "\nkey = \"" + wim, "a key that the user already has"},
		{"two users with one key", "[users.wim]", "[users.bob]\nprefix = [\"lnx\"]\nkey = \"" + wim + "\"\n[users.wim]", "users.wim.key is also a key of users.bob, line 10: its holder chooses which of the two names is in the audit log; give each user a key of their own"},
		{"login in another case", "[users.wim]", "[users.Wim]", `the original nomadctld read it as "wim"`},
		{"alias that shadows a command", "[nomad", "[alias]\nps = \"ps --tier production\"\n[nomad", "the built-in command wins"},
		{"certificates instead of users", "[users.wim]\nkey = \"" + wim + "\"\nprefix = [\"lnx\"]\n", "[auth]\nuserca = \"user_ca.pub\"\n", "auth.userca has no effect in this version"},
		{"certificates instead of a key", `[users.wim]` + "\nkey = \"" + wim + `"`, "[auth]\nuserca = \"user_ca.pub\"\n[users.wim]", "auth.userca has no effect in this version"},
		{"one cluster, one prefix, two tiers", "[prefix.lnx]", "[nomad.test]\nurl = \"http://NOMAD.example:4646/\"\nprefix = [\"p-\"]\n[prefix.lnx]", ""},
		{"explicit parent tables", "[prefix.lnx]", "[prefix]\n[prefix.lnx]", ""},
		{"port as a number", "[nomad", "dockerport = 4243\n[nomad", ""},
		{"empty versions and hosts", "[nomad", "dockerapi = \"\"\n[docker]\nhost = \"\"\n[nomad", ""},
		{"a version that Docker 29 speaks", "[nomad", "dockerapi = \"1.44\"\n[nomad", ""},
		{"a version that Docker 29 does not speak", "[nomad", "dockerapi = \"1.24\"\n[nomad", `general.dockerapi is "1.24", but Docker 29`},
		{"drivers of Nomad", "[nomad", "[docker]\nrefuse = [\"raw_exec\", \"exec\"]\n[nomad", ""},
		{"driver of somebody else", "[nomad", "[docker]\nrefuse = [\"firecracker-task-driver\"]\n[nomad", "not a task driver of Nomad itself"},
		{"misspelt driver", "[nomad", "[docker]\nrefuse = [\"raw-exec\"]\n[nomad", `did you mean "raw_exec"?`},
		{"no drivers", "[nomad", "[docker]\nrefuse = []\n[nomad", "refused for no driver"},
		{"unix socket", "[nomad", "[docker]\nhost = \"unix:///run/{node}.sock\"\n[nomad", ""},
		{"carriage returns", "\n", "\r\n", ""},
		{"byte order mark", "[general]", "\uFEFF[general]", ""},
		{"tables in any order", "[users.wim]", "[docker.tls]\nca = \"ca.pem\"\n[docker]\nexec = \"auto\"\n[users]\n[users.wim]", ""},
		{"dotted keys", "[users.wim]", "[docker]\ntls.ca = \"ca.pem\"\ntls . 'servername' = \"x\"\n[users.wim]", ""},
		{"inline table", "[users.wim]", "[limits]\nidle = \"0s\"\n[docker]\ntls = {ca = \"ca.pem\"}\n[users.wim]", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := editValid(t, test.old, test.new)
			cfg, faults := loadText(t, text)
			if cfg == nil {
				t.Fatalf("got no config, want one:\n%s", formatDiagnostics(faults))
			}
			if test.want == "" {
				if len(faults) > 0 {
					t.Errorf("got, want nothing:\n%s", formatDiagnostics(faults))
				}
				return
			}
			if len(faults) != 1 || !faults[0].Warning || !strings.Contains(formatDiagnostics(faults), test.want) {
				t.Errorf("got:\n%s\nwant one warning with %q", formatDiagnostics(faults), test.want)
			}
		})
	}
}

// An empty list permits nothing: it must not read as an absent one, which permits everything.
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
		"missing":         "missing: the config file does not exist; create it, or correct the name",
		"directory":       "directory: the config file is a directory; name a file in it",
		"large":           "large: the config file is larger than 4 MiB; check that it is the right file",
		"latin1":          "latin1:2:12: byte 0xe9 is not UTF-8 text; save the file as UTF-8",
		"utf16":           "utf16:1:1: byte 0xff is not UTF-8 text; save the file as UTF-8",
		"none":            "none: the config file holds no settings; copy the example configuration from the README",
		"closed":          "closed: the config file may not be read; make it readable for the user that nomadctld runs as",
		"hostkey/no":      "hostkey/no: the config file cannot be read: not a directory; correct the name",
		"\x1b[31m\n.toml": `\x1b[31m\n.toml: the config file does not exist; create it, or correct the name`,
	} {
		if name == "closed" && os.Geteuid() == 0 {
			continue // root may read it
		}
		cfg, faults := config.Load(name, commands)
		if got := formatDiagnostics(faults); cfg != nil || got != want+"\n" {
			t.Errorf("%q: got %v and %q, want no config and %q", name, cfg, got, want)
		}
	}
}

func TestLoad_RereadsFile(t *testing.T) {
	if cfg, faults := loadText(t, validConfig); cfg == nil {
		t.Fatalf("got no config:\n%s", formatDiagnostics(faults))
	}
	write(t, "nomadctld.toml", []byte("["))
	if cfg, faults := config.Load("nomadctld.toml", commands); cfg != nil || len(faults) != 1 {
		t.Errorf("got %v and %d faults, want none and 1", cfg, len(faults))
	}
	write(t, "nomadctld.toml", []byte(validConfig))
	if cfg, faults := load("nomadctld.toml"); cfg == nil || len(faults) != 0 {
		t.Errorf("got %v and %d faults, want a config and 0", cfg, len(faults))
	}
}

func TestLoad_UserCAMustHoldKeys(t *testing.T) {
	inFixture(t)
	write(t, "comments.pub", []byte("# none yet\n"))
	write(t, "options.pub", []byte("cert-authority "+wim+"\n"))
	for name, want := range map[string]string{
		"comments.pub": "holds no SSH key",
		"options.pub":  "has options before the key",
		"two-lines":    "is not an SSH key",
		"hostkey":      "is a private key",
	} {
		write(t, "nomadctld.toml", []byte(validConfig+"[auth]\nuserca = \""+name+"\"\n"))
		cfg, faults := load("nomadctld.toml")
		if cfg != nil || len(faults) != 1 || !strings.Contains(formatDiagnostics(faults), want) {
			t.Errorf("%s: got %v and:\n%s\nwant no config and one fault with %q", name, cfg, formatDiagnostics(faults), want)
		}
	}
}

func TestDiagnostic_IsOneLine(t *testing.T) {
	for want, f := range map[string]config.Diagnostic{
		"f.toml:12:3: broken; mend it":     {File: "f.toml", Line: 12, Column: 3, Message: "broken", Hint: "mend it"},
		"f.toml:12: warning: odd":          {File: "f.toml", Line: 12, Warning: true, Message: "odd"},
		`f\n.toml: \x1b[2J\u202eevil; \t!`: {File: "f\n.toml", Message: "\x1b[2J\u202eevil", Hint: "\t!"},
	} {
		if got := f.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
