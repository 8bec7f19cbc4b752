package mask

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestJSON_Definition masks a definition with a secret in every part that can have one. A value that must be hidden
// contains the word canary.
func TestJSON_Definition(t *testing.T) {
	const definition = `{"ID":"p-team1-web","NomadTokenID":"5b4a1a5c-1111-2222-3333-444455556666","Payload":"Y2FuYXJ5",` +
		`"VaultToken":"canary","ConsulToken":"","Meta":{"owner":"team1","deploy_key":"canary1"},"ParameterizedJob":{"Payload":"optional"},` +
		`"JobModifyIndex":18446744073709551615,"Priority":50,"Stop":false,"Periodic":null,` +
		`"TaskGroups":[{"Name":"web","Count":2,"Tasks":[{"Name":"web","Driver":"docker",` +
		`"Config":{"image":"registry.example/token-server:1.2@sha256:0123456789abcdef0123456789abcdef","args":["--port","8080","--password","canary",` +
		`"--db=postgres://app:canary@db/x","--verbose"],"command":"/bin/sh","ports":["http"],"auth":[{"username":"canary","password":"canary",` +
		`"server_address":"registry.example"}],"logging":[{"config":[{"splunk-token":"canary"}]}]},` +
		`"Env":{"MODE":"new","LOG_LEVEL":"debug","PORT":"${NOMAD_PORT_http}","DB_PASSWORD":"canary","DBPW":"canary",` +
		`"DATABASE_URL":"postgres://app:canary@db:5432/x","LICENSE_BLOB":"canary","PASSWORD_FILE":"/secrets/password","X":"canary2x9",` +
		`"API_TOKEN":"${NOMAD_SECRETS_DIR}/token","EMPTY_SECRET":""},` +
		`"Templates":[{"EmbeddedTmpl":"MODE=new\nPASSWORD=canary\nTOKEN={{ with secret \"kv/x\" }}{{ .Data.token }}{{ end }}\n",` +
		`"DestPath":"secrets/env"}],"Artifacts":[{"GetterSource":"git::ssh://git@example.com/repo",` +
		`"GetterOptions":{"sshkey":"canary","depth":"1"},"GetterHeaders":{"Authorization":"Bearer canary"}}],` +
		`"Services":[{"Checks":[{"Header":{"X-Auth":["canary"]},"Path":"/health"}]}]}]}]}`
	masked, hidden, err := JSON(json.RawMessage(definition))
	if err != nil || !hidden {
		t.Fatalf("got %v, %v", hidden, err)
	}
	if strings.Contains(string(masked), "canary") || strings.Contains(string(masked), "Y2FuYXJ5") {
		t.Errorf("got secrets: %s", masked)
	}
	for _, want := range []string{
		`"ID":"p-team1-web","NomadTokenID":"5b4a1a5c-1111-2222-3333-444455556666","Payload":"***","VaultToken":"***",` +
			`"ConsulToken":"","Meta":{"owner":"team1","deploy_key":"***"},"ParameterizedJob":{"Payload":"optional"},`,
		`"JobModifyIndex":18446744073709551615,"Priority":50,"Stop":false,"Periodic":null,`,
		`"image":"registry.example/token-server:1.2@sha256:0123456789abcdef0123456789abcdef"`,
		`"args":["--port","8080","--password","***","--db=***","--verbose"],"command":"/bin/sh","ports":["http"]`,
		`"auth":[{"username":"***","password":"***","server_address":"registry.example"}]`, `{"splunk-token":"***"}`,
		`"MODE":"new","LOG_LEVEL":"debug","PORT":"${NOMAD_PORT_http}","DB_PASSWORD":"***","DBPW":"***","DATABASE_URL":"***",`,
		`"PASSWORD_FILE":"/secrets/password"`, `"API_TOKEN":"${NOMAD_SECRETS_DIR}/token","EMPTY_SECRET":""`,
		`"MODE=new\nPASSWORD=***\nTOKEN={{ with secret \"kv/x\" }}{{ .Data.token }}{{ end }}\n","DestPath":"secrets/env"`,
		`"GetterSource":"git::ssh://git@example.com/repo"`, `"depth":"1"`, `"Path":"/health"`,
	} {
		if !strings.Contains(string(masked), want) {
			t.Errorf("got %s\nwant %s", masked, want)
		}
	}
}

// TestJSON_Values checks values that are not strings, nested values, and values that look like flags.
func TestJSON_Values(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{"auth":[{"password":12345,"helper":true,"email":null}]}`, `{"auth":[{"password":"***","helper":"***","email":null}]}`},
		{`{"auth":{"server_address":"x","port":5000}}`, `{"auth":{"server_address":"x","port":"***"}}`},
		{`{"auth":{"Env":{"a":"b"}}}`, `{"auth":{"Env":{"a":"***"}}}`},
		{`{"Payload":1}`, `{"Payload":"***"}`},
		{`{"password":12345,"db_pass":-1.5e3,"port":5432}`, `{"password":"***","db_pass":"***","port":5432}`},
		{`{"AllowTokenExpiration":true,"ErrMissingKey":false}`, `{"AllowTokenExpiration":true,"ErrMissingKey":false}`},
		{`{"Env":{"PORT":8080,"DEBUG":true,"PIN":1234,"ID":12345678901}}`, `{"Env":{"PORT":8080,"DEBUG":true,"PIN":"***","ID":"***"}}`},
		{`{"Resources":{"SecretsMB":64,"CPU":100}}`, `{"Resources":{"SecretsMB":64,"CPU":100}}`},
		{`{"args":["--password",12345,"--port",80]}`, `{"args":["--password","***","--port",80]}`},
		{`{"credentials":{"db":"hunter"}}`, `{"credentials":{"db":"***"}}`},
		{`{"credentials":[{"db":["hunter",{"x":7}],"on":true}],"db":"a"}`, `{"credentials":[{"db":["***",{"x":"***"}],"on":true}],"db":"a"}`},
		{`{"Header":{"X-Auth":{"a":["b"]},"X-Mode":{"a":["b"]}}}`, `{"Header":{"X-Auth":{"a":["***"]},"X-Mode":{"a":["b"]}}}`},
		{`{"secrets":{"EmbeddedTmpl":"mode=new"}}`, `{"secrets":{"EmbeddedTmpl":"***"}}`},
		{`{"secrets":{"auth":{"server_address":"hunter"}}}`, `{"secrets":{"auth":{"server_address":"***"}}}`},
		{`{"secrets":{"file":"/secrets/x","at":"${NOMAD_SECRETS_DIR}/x"}}`, `{"secrets":{"file":"/secrets/x","at":"${NOMAD_SECRETS_DIR}/x"}}`},
		{`{"Tasks":[{"Secrets":[{"Provider":"nomad"}]}],"Secrets":[{"a":"b"}]}`, `{"Tasks":[{"Secrets":[{"Provider":"nomad"}]}],"Secrets":[{"a":"***"}]}`},
		{`{"args":["--password","-hunter2","run"]}`, `{"args":["--password","***","run"]}`},
		{`{"args":["-c","run --password -hunter2"]}`, `{"args":["-c","***"]}`},
	} {
		masked, hidden, err := JSON(json.RawMessage(test.text))
		if string(masked) != test.want || hidden != (test.text != test.want) || err != nil {
			t.Errorf("%s: got  %s, %v, %v, want %s", test.text, masked, hidden, err, test.want)
		}
	}
}

func TestJSON_NothingToHide(t *testing.T) {
	const text = `{"b":1.50,"a":[null,true,"x < y & z",{"é":"\u2028"}],"c":{}, "d":[]}`
	masked, hidden, err := JSON(json.RawMessage(text))
	if want := strings.ReplaceAll(text, ", ", ","); hidden || err != nil || string(masked) != want {
		t.Errorf("got %s, %v, %v, want %s", masked, hidden, err, want)
	}
}

func TestJSON_Invalid(t *testing.T) {
	for _, text := range []string{"", "{", `{"a":1} {"b":2}`, `{"Env":{"PASSWORD":"canary"}`, `["canary",]`, "\xff"} {
		masked, _, err := JSON(json.RawMessage(text))
		if err == nil || masked != nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %s, %v, want an error without the text", text, masked, err)
		}
	}
}

func TestJSON_Container(t *testing.T) {
	const text = `{"Config":{"Env":["MODE=new","DB_PASSWORD=canary","NOMAD_TOKEN=canary","PATH=/usr/bin:/bin",` +
		`"NOMAD_ALLOC_ID=bad0a1e5-0123-4567-89ab-cdef01234567","NOMAD_SECRETS_DIR=/secrets","NOMAD_META_x=canary9x9","canary7x7"],` +
		`"Labels":{"com.hashicorp.nomad.alloc_id":"bad0a1e5-0123-4567-89ab-cdef01234567","api-token":"canary"},` +
		`"Cmd":["sh","-c","export PGPASSWORD=canary; run"]},"Id":"0123456789abcdef","Args":["--token=canary"],` +
		`"NetworkSettings":{"SandboxKey":"/var/run/docker/netns/0123456789ab"}}`
	const want = `{"Config":{"Env":["MODE=new","DB_PASSWORD=***","NOMAD_TOKEN=***","PATH=/usr/bin:/bin",` +
		`"NOMAD_ALLOC_ID=bad0a1e5-0123-4567-89ab-cdef01234567","NOMAD_SECRETS_DIR=/secrets","NOMAD_META_x=***","***"],` +
		`"Labels":{"com.hashicorp.nomad.alloc_id":"bad0a1e5-0123-4567-89ab-cdef01234567","api-token":"***"},` +
		`"Cmd":["sh","-c","export PGPASSWORD=***"]},"Id":"0123456789abcdef","Args":["--token=***"],` +
		`"NetworkSettings":{"SandboxKey":"/var/run/docker/netns/0123456789ab"}}`
	masked, hidden, err := JSON(json.RawMessage(text))
	if string(masked) != want || !hidden || err != nil {
		t.Errorf("got  %s, %v, %v\nwant %s", masked, hidden, err, want)
	}
}

func TestChange(t *testing.T) {
	for _, test := range []struct{ path, value, want string }{
		{"web > task web > Env[MODE]", "new", "new"},
		{"web > task web > Env[DB_PASSWORD]", "canary", "***"},
		{"web > task web > Env[a > b]", "hunter2x", "***"},
		{"web > task web > Env[X]", "", ""},
		{"Meta[owner]", "team1", "team1"},
		{"Meta[release_key]", "canary", "***"},
		{"web > task web > Config > image", "nginx:1.27.3", "nginx:1.27.3"},
		{"web > task web > Config > args[3]", "hunter2x", "***"},
		{"web > task web > Config > args[3]", "--verbose", "--verbose"},
		{"web > task web > Config > auth[0][password]", "canary", "***"},
		{"web > task web > Config > auth[0][username]", "canary", "***"},
		{"web > task web > Config > auth[0][server_address]", "registry.example", "registry.example"},
		{"web > task web > Config > auth.password", "canary", "***"},
		{"web > task web > Config > credentials[0][db]", "hunter", "***"},
		{"web > task web > Config > credentials.db", "hunter", "***"},
		{"web > task token > Config > image", "nginx:1.27.3", "nginx:1.27.3"},
		{"web > task web > Template > EmbeddedTmpl", "MODE=a\nPASS=canary\n", "MODE=a\nPASS=***\n"},
		{"web > task web > Artifact > GetterOptions[sshkey]", "canary", "***"},
		{"web > task web > Artifact > GetterSource", "https://u:canary@x/y", "***"},
		{"web > task web > Vault > ChangeMode", "restart", "restart"},
		{"web > Count", "12", "12"},
		{"web > task web > Template > ErrMissingKey", "false", "false"},
		{"web > task web > Template > ErrMissingKey", "canary", "***"},
		{"Payload", "Y2FuYXJ5", "***"},
		{"Env > task web > Config > image", "registry/a1b2c3d4e5:x", "***"}, // a group with the name of a section
	} {
		if got := Change(test.path, test.value); got != test.want {
			t.Errorf("%s: %q: got %q, want %q", test.path, test.value, got, test.want)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"Env":{"A":"b","PASSWORD":"x"},"args":["--token","y"],"n":1e400}`)
	f.Add(`{"EmbeddedTmpl":"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n","a":[[[{}]]]}`)
	f.Fuzz(func(t *testing.T, text string) {
		masked, hidden, err := JSON(json.RawMessage(text))
		if err != nil {
			return
		}
		if !json.Valid(masked) {
			t.Fatalf("%q: got invalid JSON: %s", text, masked)
		}
		again, _, err := JSON(masked)
		if err != nil || string(again) != string(masked) {
			t.Errorf("%q: got %s, and %s when it was masked again, %v", text, masked, again, err)
		}
		if !hidden && strings.Count(string(masked), Hidden) > strings.Count(text, Hidden)+strings.Count(text, `\u002`) {
			t.Errorf("%q: got %s, not hidden", text, masked)
		}
	})
}
