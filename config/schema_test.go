package config_test

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/config"
	"nomadctld/internal/authkeys"
	"nomadctld/internal/tlsfiles"
)

func TestLoad_EveryKey(t *testing.T) {
	text := read(t, testdata(t, "full.toml"))
	got, diagnostics := loadText(t, string(text))
	notImplemented := slices.DeleteFunc(slices.Clone(diagnostics),
		func(d config.Diagnostic) bool { return !strings.Contains(d.Message, "has no effect in this version") })
	if len(notImplemented) != 1 || len(diagnostics) != 1 {
		t.Fatalf("got diagnostics, want one warning about a key without effect:\n%s", formatDiagnostics(diagnostics))
	}
	tls := tlsfiles.Files{CA: "ca.pem", Cert: "client.pem", Key: "client-key.pem", ServerName: "server.global.nomad"}
	dockerTLS := tls
	dockerTLS.ServerName = "docker"
	want := &config.Config{
		Path: "nomadctld.toml",
		General: config.General{
			HostKeys: []string{"hostkey", "hostkey-rsa"}, Bind: "127.0.0.1:2022", Control: "control.sock",
			DockerPort: "4243", DockerAPI: "1.44", NomadBinary: "nomad",
			Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/32")},
		},
		Aliases: map[string]string{"psp": "ps --tier production"},
		Tiers: []config.Tier{{
			Name: "production", URL: "https://nomad.example:4646", Prefixes: []string{"p-", "q-"},
			Aliases: []string{"prod", "p"}, TokenFile: "token-p", TLS: tls,
		}},
		Groups: map[string]config.Group{"lnx": {
			Name: "lnx", Prefixes: []string{"p-", "q-"}, Raw: true,
			Commands: []string{"ps", "logs", "@read"}, Namespaces: []string{"default", "team-1"},
			From:    []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")},
			Require: map[string][]string{"@operate": {"cert", "sk"}, "logs": {"cert"}},
			Limits:  config.UserLimits{Connections: 11, Sessions: 12, Programs: 13, Logs: 14, Commands: 15},
		}},
		Users: []config.User{{
			Name: "wim", FullName: "Wim", Groups: []string{"lnx"}, Cert: true,
			From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		}},
		Docker: config.Docker{
			Exec: "docker", Host: "tcp://{address}:2376", Refuse: []string{"raw_exec"},
			TLS: dockerTLS,
		},
		Auth: config.Auth{
			MaxValidity: 24 * time.Hour, KeysFile: "keys-%u", Principals: map[string][]string{"Team1-Oncall": {"lnx"}},
		},
		Audit: config.Audit{File: "-", Recordings: "recordings", Required: true, Jobs: "jobs"},
		Limits: config.Limits{
			Sessions: 3, Connections: 50, MaxStartups: config.MaxStartups{Start: 2, Rate: 40, Full: 6},
			Idle: 90 * time.Minute, Lifetime: 12 * time.Hour,
			User: config.UserLimits{Connections: 4, Sessions: 7, Programs: 5, Logs: 8, Commands: 9},
			Penalties: config.Penalties{
				AuthFail: 6 * time.Second, Min: 20 * time.Second, Max: time.Minute,
				Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			},
		},
		Metrics: config.Metrics{Bind: "127.0.0.1:9122"},
		Raw:     config.Raw{User: "nomad", Allow: []string{"job status", "node"}},
	}
	// If a field of want is not set, full.toml does not test its key.
	checkAllSet(t, "Config", reflect.ValueOf(*want))
	if keys := got.Users[0].Keys; len(keys) != 4 || keys[0].Public.Type() != "ssh-ed25519" ||
		keys[1].Public.Type() != "ecdsa-sha2-nistp256" || !keys[2].NoTerminal || !keys[3].CertAuthority {
		t.Errorf("got keys %+v, want an ed25519 key, an ECDSA key, and one of each keys file", keys)
	}
	if len(got.Auth.CAs) != 2 || got.Auth.Revoked == nil {
		t.Errorf("got %+v, want two CAs and a revocation list", got.Auth)
	}
	got.Users[0].Keys, got.Auth.CAs, got.Auth.Revoked = nil, nil, nil
	got.Source = config.Source{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func checkAllSet(t *testing.T, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		switch v.Type() {
		case reflect.TypeFor[netip.Prefix](), reflect.TypeFor[config.Source](): // a value, and not of the file
			return
		}
		for i := range v.NumField() {
			checkAllSet(t, path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]ssh.PublicKey]() || v.Type() == reflect.TypeFor[[]authkeys.Key]() {
			return // compared separately
		}
		fallthrough
	case reflect.Map:
		if v.Len() == 0 {
			t.Errorf("got no value for %s in full.toml, want one", path)
		} else if v.Kind() == reflect.Map {
			checkAllSet(t, path, v.MapIndex(v.MapKeys()[0]))
		} else {
			checkAllSet(t, path, v.Index(0))
		}
	case reflect.Pointer: // the revocation list is compared separately
	default:
		if v.IsZero() {
			t.Errorf("got no value for %s in full.toml, want one", path)
		}
	}
}

func TestLoad_Defaults(t *testing.T) {
	got, diagnostics := loadText(t, validConfig)
	if len(diagnostics) > 0 {
		t.Fatalf("got diagnostics, want none:\n%s", formatDiagnostics(diagnostics))
	}
	got.Source = config.Source{}
	key, _, _, _, _ := ssh.ParseAuthorizedKey([]byte(wim))
	want := &config.Config{
		Path:    "nomadctld.toml",
		General: config.General{HostKeys: []string{"hostkey"}, Bind: ":2222"},
		Aliases: map[string]string{},
		Tiers:   []config.Tier{{Name: "production", URL: "http://nomad.example:4646", Prefixes: []string{"p-"}}},
		Groups:  map[string]config.Group{"lnx": {Name: "lnx", Prefixes: []string{"p-"}}},
		Users:   []config.User{{Name: "wim", Keys: []authkeys.Key{{Public: key}}, Groups: []string{"lnx"}}},
		Docker:  config.Docker{Exec: "auto"},
		Limits: config.Limits{
			Sessions: 10, Connections: 500, MaxStartups: config.MaxStartups{Start: 10, Rate: 30, Full: 100}, Idle: time.Hour,
			User: config.UserLimits{Connections: 20, Sessions: 40, Programs: 20, Logs: 100, Commands: 6000},
			Penalties: config.Penalties{
				AuthFail: 5 * time.Second, Min: 15 * time.Second, Max: 10 * time.Minute,
				Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
			},
		},
		Raw:  config.Raw{User: "nobody"},
		Auth: config.Auth{Principals: map[string][]string{}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestReference_ExplainsEveryKey(t *testing.T) {
	for _, section := range config.Reference {
		for _, key := range section.Keys {
			if key.About == "" {
				t.Errorf("[%s] %s: not documented", section.Table, key.Example)
			}
		}
	}
}
