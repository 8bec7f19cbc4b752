package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nomadctld/internal/sshfiles"
)

// TestMain runs the program itself if a test asks for that, because a process cannot return to its former user.
func TestMain(m *testing.M) {
	switch os.Getenv("NOMADCTLD_TEST_MAIN") {
	case "main":
		os.Exit(Main(os.Args[1:]))
	case "groups":
		if err := becomeUser(os.Args[1]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		groups, err := os.Getgroups()
		slices.Sort(groups)
		fmt.Println(os.Getuid(), os.Geteuid(), os.Getgid(), os.Getegid(), slices.Compact(groups), err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runSelf runs this test binary as another program and returns its exit code and its output.
func runSelf(t *testing.T, program string, args ...string) (code int, output string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "NOMADCTLD_TEST_MAIN="+program)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("this needs root")
	}
}

// TestBecomeUser_AsLogin compares the IDs of the process with those that id prints for the same users.
func TestBecomeUser_AsLogin(t *testing.T) {
	needRoot(t)
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Skip(err)
	}
	compared := 0
	for line := range strings.Lines(string(passwd)) {
		name, _, _ := strings.Cut(line, ":")
		uid, err := exec.Command("id", "-u", name).Output()
		if err != nil || name == "root" {
			continue
		}
		gid, _ := exec.Command("id", "-g", name).Output()
		list, err := exec.Command("id", "-G", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		var groups []int
		for _, field := range strings.Fields(string(list)) {
			n, _ := strconv.Atoi(field)
			groups = append(groups, n)
		}
		slices.Sort(groups)
		u, g := strings.TrimSpace(string(uid)), strings.TrimSpace(string(gid))
		want := fmt.Sprintln(u, u, g, g, groups, nil)
		if code, got := runSelf(t, "groups", name); code != 0 || got != want {
			t.Errorf("%s: got %d, %q, want %q", name, code, got, want)
		}
		if compared++; compared == 5 {
			break
		}
	}
	if compared == 0 {
		t.Error("/etc/passwd has no user to compare with")
	}
	if code, got := runSelf(t, "groups", "4711:4712"); code != 0 || got != "4711 4711 4712 4712 [4712] <nil>\n" {
		t.Errorf("UID:GID: got %d, %q", code, got)
	}
}

func TestBecomeUser_NotRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("this needs a user who is not root")
	}
	if code, got := runSelf(t, "groups", "0:0"); code != 1 || got != "--as needs root; run it with sudo\n" {
		t.Errorf("got %d, %q", code, got)
	}
	if code, got := runSelf(t, "groups", fmt.Sprintf("%d:%d", os.Geteuid(), os.Getegid())); code != 0 {
		t.Errorf("as oneself: got %d, %q", code, got)
	}
}

// TestCheck_AsUser checks files that root may use, and another user may not.
func TestCheck_AsUser(t *testing.T) {
	needRoot(t)
	const as = "4711:4712"
	dir := sshfiles.Dir(t.TempDir())
	for parent := dir.Path(""); len(parent) > len(os.TempDir()); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	key, err := dir.NewKey("hostkey")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"jobs", "log"} {
		if err := os.Mkdir(dir.Path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf(`
[general]
hostkey = "%[1]s/hostkey"
[nomad.production]
url = "https://127.0.0.1:4646"
prefix = ["p-"]
token = "%[1]s/token"
[prefix.team1]
prefix = ["p-team1-"]
[users.ann]
prefix = ["team1"]
key = %[2]q
[docker]
exec = "nomad"
[audit]
file = "%[1]s/log/audit.jsonl"
jobs = "%[1]s/jobs"
`, dir.Path(""), sshfiles.AuthorizedKeyLine(key))
	for name, mode := range map[string]os.FileMode{"nomadctld.toml": 0o640, "token": 0o600} {
		content := text
		if name == "token" {
			content = "secret"
		}
		if err := os.WriteFile(dir.Path(name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	file := dir.Path("nomadctld.toml")
	if err := os.Chown(file, 0, 4712); err != nil { // readable through the group
		t.Fatal(err)
	}
	if code, got := runSelf(t, "main", "-config", file, "check"); code != 0 ||
		!strings.Contains(got, "note: checked as root") {
		t.Errorf("as root: got %d and\n%s", code, got)
	}
	code, got := runSelf(t, "main", "-config", file, "check", "--as", as)
	for _, want := range []string{
		`general.hostkey: file "` + dir.Path("hostkey") + `" cannot be read: permission denied; `,
		`nomad.production.token: file "` + dir.Path("token") + `" cannot be read: permission denied; `,
		`audit.file: the gateway cannot create files in directory "` + dir.Path("log") + `"; chown it`,
		`audit.jobs: directory "` + dir.Path("jobs") + `" belongs to user 0, but the gateway runs as user 4711; `,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant a line with %s", got, want)
		}
	}
	if code != 1 || strings.Count(got, "\n") != 4 {
		t.Errorf("got %d and\n%s\nwant 1 and 4 lines", code, got)
	}
	for name, owner := range map[string][2]int{
		"hostkey": {4711, 0}, "token": {0, 4712}, "log": {4711, 0}, "jobs": {4711, 0},
	} {
		if err := os.Chown(dir.Path(name), owner[0], owner[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir.Path("token"), 0o640); err != nil {
		t.Fatal(err)
	}
	if code, got := runSelf(t, "main", "-config", file, "check", "--as", as); code != 0 ||
		!strings.HasPrefix(got, file+": 1 tier (production), 1 user, 1 prefix group\nhost key: SHA256:") ||
		strings.Contains(got, "note:") {
		t.Errorf("got %d and\n%s\nwant a summary", code, got)
	}
}
