package mask

import "testing"

func TestIsSecretName(t *testing.T) {
	for name, want := range map[string]bool{
		"PASSWORD": true, "dbPassword": true, "DB_PASS": true, "DBPW": true, "db.passwd": true, "API_KEY": true,
		"apikey": true, "sshkey": true, "AWS_SECRET_ACCESS_KEY": true, "GITHUB_PAT": true, "SENTRY_DSN": true,
		"X-Auth-Token": true, "Authorization": true, "SESSION_COOKIE": true, "MYSQL_PWD": true, "WebHookURL": true,
		"MODE": false, "LOG_LEVEL": false, "IMAGE": false, "KEEPALIVE": false, "PASSENGERS": false, "MONITOR": false,
		"COMPASSION": false, "AUTHOR": false, "PATH": false, "NomadTokenID": false, "": false, "DATABASE_URL": false,
	} {
		if got := isSecretName(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestIsHarmless(t *testing.T) {
	for _, test := range []struct {
		name, value string
		want        bool
	}{
		{"MODE", "new", true},
		{"LOG", "debug,info", true},
		{"TIMEOUT", "300000ms", true},
		{"REGION", "eu-west-1", true},
		{"ADDR", "redis.service.consul:6379", true},
		{"URL", "http://db01.example.com:80/path", true},
		{"SCHEDULE", "*/5 * * * *", true},
		{"DIR", "/var/lib/app", true},
		{"ENCODING", "utf8", true},
		{"ADDR", "${NOMAD_IP_http}:8080", true},
		{"PASSWORD", "${PASSWORD_FROM_VAULT}", true},
		{"PASSWORD_FILE", "/run/secrets/db", true},
		{"PASSWORD_FILE", "hunter2", false},
		{"NOMAD_ALLOC_ID", "bad0a1e5-0123-4567-89ab-cdef01234567", true},
		{"NOMAD_TOKEN", "bad0a1e5-0123-4567-89ab-cdef01234567", false},
		{"NOMAD_META_password", "x", false},
		{"ID", "bad0a1e5-0123-4567-89ab-cdef01234567", false}, // the form of a Nomad token
		{"DB", "hunter2", false},
		{"DB", "s3cr3t", false},
		{"DB", "correct!horse", false},
		{"DB", "changemypassword", false},
		{"DB", "AbCdEfGhIjKlMnOp", false},
		{"DB", "deadbeefdeadbeefdeadbeef", false},
		{"DB", "12345678901", false},
		{"DB", "two\nlines", false},
		{"PASSWORD", "a", false},
		{"ROOT", "/a/hunter2x9", false},
	} {
		if got := isHarmless(test.name, test.value); got != test.want {
			t.Errorf("%s=%s: got %v, want %v", test.name, test.value, got, test.want)
		}
	}
}

func TestMaskText(t *testing.T) {
	for _, test := range []struct {
		text, plain, template string
	}{
		{"nginx:1.27", "nginx:1.27", "***"},
		{"token-server:1.27", "token-server:1.27", "***"},
		{"run --password hunter2", "***", "***"},
		{"PGPASSWORD=x psql", "PGPASSWORD=***", "PGPASSWORD=***"},
		{"export A_TOKEN='x'", "export A_TOKEN=***", "export A_TOKEN=***"},
		{`  "password": "x",`, `  "password": ***,`, `  "password": ***,`},
		{"- password: x", "- password: ***", "- password: ***"},
		{"mode: a1b2c3d4", "mode: a1b2c3d4", "mode: ***"},
		{"listen 8080;", "listen 8080;", "***"},
		{"0123456789abcdef0123456789", "0123456789abcdef0123456789", "***"},
		{"https://0123456789abcdef@sentry.example/1", "***", "***"},
		{"https://sentry.example/1?sig=abc", "***", "***"},
		{"Authorization: Bearer abcdefgh12345678", "Authorization: ***", "Authorization: ***"},
		{"x eyJhbGciOiJ9.eyJzdWIiOiIx.abc", "***", "***"},
		{"key AKIAABCDEFGHIJKLMNOP", "***", "***"},
		{"o=username=a,password=b", "o=***", "o=***"},
		{"a\r\nPASS=x\r\nb", "a\r\nPASS=***\r\nb", "***\r\nPASS=***\r\n***"},
		{
			"a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb\n", "a\n***\n***\n***\nb\n",
			"***\n***\n***\n***\n***\n",
		},
		{"PASS={{ .Data.pass }}", "PASS={{ .Data.pass }}", "PASS={{ .Data.pass }}"},
		{"PASS={{ .Data.pass }}-literal", "PASS=***", "PASS=***"},
	} {
		if got := maskText(test.text, plainText); got != test.plain {
			t.Errorf("%q: got %q, want %q", test.text, got, test.plain)
		}
		if got := maskText(test.text, templateText); got != test.template {
			t.Errorf("template %q: got %q, want %q", test.text, got, test.template)
		}
	}
}

func TestMaskText_Template(t *testing.T) {
	const hidden = "***"
	for _, test := range []struct{ text, want string }{
		{"swordfish", hidden},
		{"swordfish\n", hidden + "\n"},
		{"localhost:5432:app:app:swordfish", hidden},
		{"{{ .Host }}:5432:*:app:swordfish", hidden},
		{"machine db.example login app password swordfish", hidden},
		{"admin:$apr1$x", hidden},
		{"#swordfish", hidden},
		{"# hunter2x", hidden},
		{"# the password is swordfish", hidden},
		{"# written by team1\n\n// mode\n; x\n---\n", "# written by team1\n\n// mode\n; x\n---\n"},
		{"{\n\"mode\": \"new\",\n\"x\": \"hunter2\"\n}", "{\n\"mode\": \"new\",\n\"x\": ***\n}"},
		{"server {\n  mode = new\n}\n[web]\n", "server {\n  mode = new\n}\n[web]\n"},
		{`{{ with nomadVar "nomad/jobs/web" }}{{ .x }}{{ end }}`, `{{ with nomadVar "nomad/jobs/web" }}{{ .x }}{{ end }}`},
		{`{{ $k }}={{ $v | toJSON }}`, `{{ $k }}={{ $v | toJSON }}`},
		{`A={{ index .Data "password" }}`, `A={{ index .Data "password" }}`},
		{`{{ "swordfish" }}`, hidden},
		{`{{ $x := "swordfish" }}`, hidden},
		{`{{/* swordfish password */}}`, hidden},
		{`PASS={{ keyOrDefault "a" "swordfish" }}`, "PASS=***"},
		{`PASS=${PASS:-swordfish}`, "PASS=***"},
		{
			"mode: new\ncredentials:\n  db: sword\n  at: {{ .at }}\nmode: new",
			"mode: new\ncredentials:\n  db: ***\n  at: {{ .at }}\nmode: new",
		},
		{"passwords:\n- name: sword\n- fish\nmode: new", "passwords:\n- name: ***\n***\nmode: new"},
		{
			"credentials {\na {\nx = b\n}\ndb = sword\n}\nmode = new",
			"credentials {\na {\nx = ***\n}\ndb = ***\n}\nmode = new",
		},
		{`{"credentials": {` + "\n  \"db\": \"sword\"\n}}\n", "***\n  \"db\": ***\n}}\n"},
		{"[credentials]\ndb = sword\n[web]\nmode = new", "[credentials]\ndb = ***\n[web]\nmode = new"},
		{"password: |\n  sword\nmode: new", "password: ***\n***\nmode: new"},
	} {
		if got := maskText(test.text, templateText); got != test.want {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
}
