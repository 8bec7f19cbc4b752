package mask

import (
	"encoding/json"
	"testing"
)

// TestConfigs_Change checks that a change hides a value if and only if JSON hides it.
func TestConfigs_Change(t *testing.T) {
	configs := ReadConfigs(json.RawMessage(`{"TaskGroups":[{"Name":"web","Tasks":[{"Name":"web","Config":{` +
		`"args":["-c","sleep 5; exec httpd -f","--password","canary","a1b2c3d4e5",8080,"--token","x",["canary7x7"]],` +
		`"auth":[{"username":"canary","server_address":"registry.example"}],` +
		`"credentials":{"db":"canary"},"labels":[{"a":"hunter2x"}],"a":{"b":["hunter2x"]}}}]}]}`))
	const config = "web > task web > Config > "
	for _, test := range []struct{ path, value, want string }{
		{"args[1]", "sleep 5; exec httpd -f", "sleep 5; exec httpd -f"},
		{"args[3]", "canary", Hidden},
		{"args[4]", "a1b2c3d4e5", "a1b2c3d4e5"},
		{"args[5]", "8080", "8080"},
		{"args[7]", "x", Hidden},
		{"args[8][0]", "canary7x7", "canary7x7"},
		{"auth[0][username]", "canary", Hidden},
		{"auth[0][server_address]", "registry.example", "registry.example"},
		{"credentials[db]", "canary", Hidden},
		{"labels[0][a]", "hunter2x", "hunter2x"},
		{"args[1]", "hunter2x", Hidden}, // not the value in the definition
		{"args[9]", "hunter2x", Hidden}, // not in the definition
		{"a[b][0]", "hunter2x", "hunter2x"},
	} {
		if got := configs.Change(config+test.path, test.value); got != test.want {
			t.Errorf("%s: got %q, want %q", test.path, got, test.want)
		}
	}
}

// TestConfigs_Ambiguous checks that names which imitate the path of another value reveal nothing.
func TestConfigs_Ambiguous(t *testing.T) {
	for _, definition := range []string{
		`{"TaskGroups":[{"Name":"a","Tasks":[{"Name":"b","Config":{"x[0]":"hunter2x","x":["hunter2x"]}}]}]}`,
		`{"TaskGroups":[{"Name":"a","Tasks":[{"Name":"b","Config":{"x":["hunter2x"]}}]},` +
			`{"Name":"a","Tasks":[{"Name":"b","Config":{"x":["hunter2x"]}}]}]}`,
		`{`, ``,
	} {
		configs := ReadConfigs(json.RawMessage(definition))
		if got := configs.Change("a > task b > Config > x[0]", "hunter2x"); got != Hidden {
			t.Errorf("%s: got %q", definition, got)
		}
	}
}
