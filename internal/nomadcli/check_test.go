package nomadcli

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

var testBinary = Binary{Path: "/nonexistent/nomad"}

func TestCheck_Refused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "a nomad command is missing"},
		{[]string{"job", "status", "a\x00b"}, "not valid text"},
		{[]string{"job", "status", "\xff"}, "not valid text"},
		{[]string{"nosuch"}, "not known to be safe"},
		{[]string{""}, "not known to be safe"},
		{[]string{"", "job", "status"}, "not known to be safe"},
		{[]string{"NOMAD_ADDR=x", "status"}, "not known to be safe"},
		{[]string{"runx", "run", "file"}, "not known to be safe"},
		{[]string{"job", "statusx", "job", "status"}, `"statusx" is not known`},
		{[]string{"job status"}, "not known to be safe"},
		{[]string{"job", "nosuch"}, "not known to be safe"},
		{[]string{"job", "tag apply", "x"}, "not known to be safe"},
		{[]string{"--", "status"}, "must come first"},
		{[]string{"-version", "status"}, "must come first"},
		{[]string{"-address=x", "status"}, "sets the connection to the cluster"},
		{[]string{"-autocomplete-install"}, "home directory"},
		{[]string{"status", "x", "--autocomplete-uninstall"}, "home directory"},
		{[]string{"status", "-region=eu"}, "another region"},
		{[]string{"status", "---verbose"}, "not known to be safe"},
		{[]string{"status", "-=x"}, "not known to be safe"},
		{[]string{"status", "-nosuch"}, "not known to be safe"},
		{[]string{"status", "-namespace"}, "needs a value"},
		{[]string{"status", "-namespace", "-token"}, "command lines are recorded"},
		{[]string{"status", "-namespace", "--", "-token=x"}, "command lines are recorded"},
		{[]string{"job", "status", "-ui", "x"}, "opens a browser"},
		{[]string{"job", "status", "-t", `{{sprig_env "NOMAD_TOKEN"}}`}, "Go's built-in functions"},
		{[]string{"job", "status", `-t={{env "NOMAD_TOKEN"}}`}, "Go's built-in functions"},
		{
			[]string{"var", "get", "-out=go-template", "-template", `{{sprig_expandenv "$NOMAD_TOKEN"}}`, "x"},
			"Go's built-in functions",
		},
		{[]string{"agent", "-dev"}, "runs an agent"},
		{[]string{"ui"}, "opens a browser"},
		{[]string{"login"}, "changes access rights"},
		{[]string{"setup", "vault"}, "changes access rights"},
		{[]string{"tls", "ca", "create"}, "files"},
		{[]string{"config", "validate", "/etc"}, "files"},
		{[]string{"fmt", "-"}, "files"},
		{[]string{"init"}, "nomad job init is refused"},
		{[]string{"executor", "{}"}, "runs an agent"},
		{[]string{"template-render"}, "runs an agent"},
		{[]string{"acl", "bootstrap"}, "changes access rights"},
		{[]string{"acl", "token", "create"}, "changes access rights"},
		{[]string{"acl", "token", "self"}, "shows a token"},
		{[]string{"acl", "token", "info", "x"}, "shows a token"},
		{[]string{"operator", "api", "/v1/jobs"}, "any request"},
		{[]string{"operator", "snapshot", "save"}, "files"},
		{[]string{"operator", "debug"}, "writes a file"},
		{[]string{"operator", "root", "keyring", "rotate"}, "keys"},
		{[]string{"server", "join", "x"}, "servers"},
		{[]string{"node", "config", "-update-servers", "x"}, "other servers"},
		{[]string{"var", "lock", "x", "sh"}, "runs a command"},
		{[]string{"var", "put", "@file"}, "would read a file"},
		{[]string{"var", "put", "path", "key=@/etc/shadow"}, "would read a file"},
		{[]string{"job", "run", "web.nomad"}, "-json -"},
		{[]string{"job", "run", "-"}, "-json -"},
		{[]string{"job", "run", "-json", "https://x/y"}, "-json -"},
		{[]string{"job", "run", "-json", "-json=false", "-"}, "-json -"},
		{[]string{"run", "-json=true", "-"}, "-json -"},
		{[]string{"plan", "-json", "-", "x"}, "-json -"},
		{[]string{"validate", "-"}, "-json -"},
		{[]string{"job", "run", "-json", "-var-file=x", "-"}, "reads a file"},
		{[]string{"job", "dispatch", "j", "/etc/shadow"}, "from stdin"},
		{[]string{"namespace", "apply", "/etc/shadow"}, "a name or"},
		{[]string{"namespace", "apply", "ca.pem"}, "a name or"},
		{[]string{"quota", "apply", "f"}, "from stdin"},
		{[]string{"node", "pool", "apply", "f"}, "from stdin"},
		{[]string{"volume", "create", "f"}, "from stdin"},
		{[]string{"volume", "register", "--", "f"}, "from stdin"},
		{[]string{"volume", "delete", "-secret", "k=v", "x"}, "recorded"},
		{[]string{"monitor", "exportx", "monitor", "export"}, "does not accept the argument"},
		{[]string{"alloc", "exec", "id", "curl", "-token", "x"}, `put "--" before it`},
	} {
		err := testBinary.Check(c.args)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("Check(%q): got %v, want one line with %q", c.args, err, c.want)
		}
	}
}

func TestCheck_Allowed(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"-version", "-help", "version", "status", "status web", "job", "job -h", "agent-info",
		"job status -namespace=x -verbose web", "job status --namespace x web", "job status -json=true web",
		"job status -t {{.ID}} web", "job stop -purge -yes web", "job run -json -", "run -detach --json -", "run -h",
		"job dispatch -meta k=v web", "job dispatch web -", "namespace apply -description x team", "namespace apply -",
		"var put path k=v", "var put path -", "var get -out json path", "alloc exec -it id sh",
		"alloc exec id sh -c ls", "alloc exec -task web id -- curl -token x", "exec -- id curl --address y",
		"alloc fs -job web /", "logs -f -n 10 id", "monitor -log-level=debug", "operator raft list-peers",
		"node drain -enable -m x id", "volume create -",
	} {
		if err := testBinary.Check(strings.Fields(line)); err != nil {
			t.Errorf("Check(%q): got %v, want nil", line, err)
		}
	}
}

func TestCheck_RefusedFlagSpellings(t *testing.T) {
	t.Parallel()
	for name := range refusedAnywhere {
		for _, dashes := range []string{"-", "--", "---"} {
			for _, end := range [][]string{{""}, {"="}, {"=x"}, {"", "x"}, {"==x"}} {
				flag := append([]string{dashes + name + end[0]}, end[1:]...)
				for _, place := range [][2]string{
					{"", "status"},
					{"status", ""},
					{"status", "x"},
					{"status x", ""},
					{"status -verbose", "x"},
					{"job status -t", ""},
					{"job status -namespace", ""},
					{"status -namespace --", ""},
					{"stop -yes=false", ""},
					{"alloc exec id", ""},
					{"alloc exec -task", "id sh"},
					{"exec -it id sh", "-- x"},
				} {
					args := slices.Concat(strings.Fields(place[0]), flag, strings.Fields(place[1]))
					if err := testBinary.Check(args); err == nil {
						t.Errorf("Check(%q): got nil, want it refused", args)
					}
				}
			}
		}
	}
}

func TestCheck_ErrorOmitsValue(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"status", "-token=hidden"},
		{"status", "-token", "hidden"},
		{"-token=hidden", "status"},
		{"job", "run", "-consul-token=hidden"},
	} {
		err := testBinary.Check(args)
		if err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("Check(%q): got %v, want it refused without the value", args, err)
		}
	}
}

func TestCheck_Allow(t *testing.T) {
	t.Parallel()
	b := testBinary
	b.Allow = []string{"job status", "stop", "operator api"}
	for line, want := range map[string]bool{
		"job status x": true, "job stop x": true, "stop x": true,
		"status x": false, "job start x": false, "operator api /": false, "-help": false, "version": false, "job": false,
		"job status -token=x": false,
	} {
		if err := b.Check(strings.Fields(line)); (err == nil) != want {
			t.Errorf("Check(%q) with %q: got %v, want allowed %t", line, b.Allow, err, want)
		}
	}
	b.Allow = []string{}
	if err := b.Check([]string{"status"}); err == nil {
		t.Error("an empty Allow: got nil, want it refused")
	}
}

func TestIsKnownPrefix(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]bool{
		"job": true, "job status": true, "stop": true, "  job   stop ": true,
		"jo": false, "operator api": false, "init": false, "": false,
	} {
		if got := IsKnownPrefix(prefix); got != want {
			t.Errorf("IsKnownPrefix(%q): got %t, want %t", prefix, got, want)
		}
	}
}

func TestCheck_NoBinary(t *testing.T) {
	t.Parallel()
	err := Binary{}.Check([]string{"status"})
	if !errors.Is(err, ErrNoBinary) || !strings.Contains(err.Error(), "general.nomadbinary") {
		t.Errorf("got %v, want ErrNoBinary, with the setting general.nomadbinary", err)
	}
}

func TestJobArg(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"job status web": "web", "status web": "web", "stop -purge web": "web", "job stop -namespace n web": "web",
		"job history -version 3 web": "web", "inspect web": "web", "job dispatch web -": "web", "job scale web g 3": "web",
		"exec -job web sh": "web", "alloc logs -job -task t web": "web", "eval list -job web": "web",
		"action -job=web -task t x": "web",
		"job revert -- web 3":       "web", "job periodic force web": "web", "job tag apply -name v web": "web",
		"status": "", "status a b": "", "stop a b": "", "alloc status web": "", "exec id sh": "",
		"exec -job=false web sh": "",
		"job status -h web":      "", "job status -token x web": "", "job run -json -": "", "version": "", "-help": "",
		"":                        "",
		"eval list -job a -job b": "",
	} {
		got, ok := JobArg(strings.Fields(line))
		if got != want || ok != (want != "") {
			t.Errorf("JobArg(%q): got %q %t, want %q", line, got, ok, want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		"status\x1f-token=x", "alloc\x1fexec\x1f-task\x1f--\x1f-token",
		"job\x1frun\x1f-json\x1f-",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, joined string) {
		args := strings.Split(joined, "\x1f")
		JobArg(args)
		if testBinary.Check(args) != nil {
			return
		}
		for i, arg := range args {
			if _, bad := refusedAnywhere[flagName(arg)]; bad && !slices.Contains(args[:i], "--") {
				t.Errorf("Check(%q): got nil, want it refused of %q", args, arg)
			}
		}
	})
}

func TestRules_Consistent(t *testing.T) {
	t.Parallel()
	for path, r := range rules {
		if r.aliasOf != "" && (rules[r.aliasOf].aliasOf != "" || r.flags != "" || r.refused != "" || r.group) {
			t.Errorf("%q: got %+v, want only the name of another rule that is not an alias", path, r)
		}
		for parent := path; strings.Contains(parent, " "); {
			parent = parent[:strings.LastIndex(parent, " ")]
			if rules[parent].refused != "" {
				t.Errorf("%q: got a rule, want none because %q is refused", path, parent)
			}
			if p := rules[parent]; !p.group && p.check == nil {
				t.Errorf("%q: got a command with unchecked arguments, want a group or a check: they may be a subcommand", parent)
			}
		}
		for name := range flagKinds(r.flags) {
			if _, bad := refusedAnywhere[name]; bad {
				t.Errorf("%q: got the flag %s, want it refused", path, name)
			}
		}
	}
}
