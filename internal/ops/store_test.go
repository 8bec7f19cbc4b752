package ops

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/backends"
)

var (
	testKey       = Key{1}
	webDefinition = json.RawMessage(`{"ID":"p-team1-web","Namespace":"default"}`)
)

// recordOf returns the record of operation abcd as the gateway writes it.
func recordOf(job backends.JobRef, definition string) []byte {
	return must(json.Marshal(SavedDefinition{
		ID: "abcd", Job: job, User: "wim",
		Time: time.Unix(1, 0), Definition: json.RawMessage(definition),
	}))
}

func TestOpen_RejectsFile(t *testing.T) {
	good := recordOf(web, string(webDefinition))
	job := func(change func(*backends.JobRef)) backends.JobRef { j := web; change(&j); return j }
	for name, tc := range map[string]struct {
		content []byte
		want    string // part of the problem; empty: accepted
	}{
		"signed": {sign(good, testKey), ""},
		"another's child": {
			sign(recordOf(job(func(j *backends.JobRef) { j.ID = "p-team2-x/dispatch-1"; j.Root = "p-team1-web" }),
				`{"ID":"p-team2-x/dispatch-1","Namespace":"default","ParentID":"p-team2-x"}`), testKey),
			`belongs to job "p-team2-x", not "p-team1-web"`,
		},
		"no signature": {
			append(bytes.Clone(good), '\n'),
			"not signed: an earlier release wrote it, or the gateway did not write it; the gateway does not use it; check it, " +
				"register the job with",
		},
		"no line": {good, "not signed"},
		"empty":   {nil, "not signed"},
		"another key": {
			sign(good, Key{2}),
			"the signature does not match: the file was changed, or the host key of the gateway that wrote it is not " +
				"configured; the gateway does not use it",
		},
		"no hex":          {append(append(bytes.Clone(good), '\n'), "HMAC-SHA256 xyz\n"...), "the signature does not match"},
		"empty signature": {append(append(bytes.Clone(good), '\n'), "HMAC-SHA256 \n"...), "the signature does not match"},
		"cut signature":   {sign(good, testKey)[:len(sign(good, testKey))-10], "the signature does not match"},
		"trailing text":   {append(sign(good, testKey), "x\n"...), "the signature does not match"},
		"changed": {
			bytes.Replace(sign(good, testKey), []byte("wim"), []byte("ann"), 1),
			"the signature does not match",
		},
		"forged root": {bytes.Replace(sign(good, testKey), []byte(`"root":"p-team1-web"`), []byte(`"root":"p-team2-web"`),
			1), "the signature does not match"},
		"another name": {
			sign(bytes.Replace(good, []byte(`"abcd"`), []byte(`"ef01"`), 1), testKey),
			`the file holds the ID "ef01"`,
		},
		"not JSON": {sign([]byte("{"), testKey), "unexpected end of JSON input"},
		"another root": {
			sign(recordOf(job(func(j *backends.JobRef) { j.Root = "p-team2-web" }), string(webDefinition)), testKey),
			`belongs to job "p-team1-web", not "p-team2-web"`,
		},
		"another job": {
			sign(recordOf(web, `{"ID":"p-team2-shop","Namespace":"default"}`), testKey),
			`is for job "p-team2-shop", not "p-team1-web"`,
		},
		"other namespace": {
			sign(recordOf(web, `{"ID":"p-team1-web","Namespace":"kube"}`), testKey),
			`is for namespace "kube", not "default"`,
		},
		"no definition": {sign(recordOf(web, `null`), testKey), `is for job "", not "p-team1-web"`},
		"too large": {
			append(bytes.Repeat([]byte(" "), maxFileSize), sign(good, testKey)...),
			"larger than 16 MiB; remove it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			file := filepath.Join(folder, "abcd.json")
			if err := os.WriteFile(file, tc.content, 0o600); err != nil {
				t.Fatal(err)
			}
			r, problems := Open(folder, testKey)
			checkRejected(t, r, problems, file, tc.want)
			if _, err := os.Stat(file); err != nil {
				t.Errorf("got %v, want the file left", err)
			}
		})
	}
}

// checkRejected checks that the only problem is that of file, or that the definition is accepted if want is empty.
func checkRejected(t *testing.T, r *Registry, problems []error, file, want string) {
	t.Helper()
	if want == "" {
		if len(problems) > 0 || len(r.Restorable()) != 1 {
			t.Errorf("got %v and %+v, want it restorable", problems, r.Restorable())
		}
		return
	}
	if len(problems) != 1 || len(r.Restorable()) != 0 {
		t.Fatalf("got %v and %+v, want one problem and no definition", problems, r.Restorable())
	}
	if got := problems[0].Error(); !strings.Contains(got, want) || !strings.Contains(got, file) ||
		strings.Contains(got, "\n") {
		t.Errorf("got %q, want one line with %q and %s", got, want, file)
	}
}

func TestOpen_FileTypeAndOwner(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside.json")
	good := sign(recordOf(web, string(webDefinition)), testKey)
	for name, tc := range map[string]struct {
		make func(file string) error
		want string
	}{
		"own file": {func(file string) error { return os.WriteFile(file, good, 0o600) }, ""},
		"link": {func(file string) error {
			os.WriteFile(outside, good, 0o600)
			return os.Symlink(outside, file)
		}, "not a regular file, but a symbolic link; remove it"},
		"named pipe": {
			func(file string) error { return syscall.Mkfifo(file, 0o600) },
			"not a regular file, but a named pipe; remove it",
		},
		"folder": {
			func(file string) error { return os.Mkdir(file, 0o700) },
			"not a regular file, but a directory; remove it",
		},
		"device": {func(file string) error {
			return syscall.Mknod(file, syscall.S_IFCHR|0o600, 1<<8|5) // /dev/zero, which has no end
		}, "not a regular file, but a device; remove it"},
		"writable by the group": {func(file string) error {
			os.WriteFile(file, good, 0o600)
			return os.Chmod(file, 0o620)
		}, "the file can be written by others (mode 0620); chmod go-w it"},
		"writable by others": {func(file string) error {
			os.WriteFile(file, good, 0o600)
			return os.Chmod(file, 0o602)
		}, "the file can be written by others (mode 0602); chmod go-w it"},
		"another owner": {func(file string) error {
			os.WriteFile(file, good, 0o600)
			return os.Chown(file, 12345, -1)
		}, "the file belongs to user 12345, but the gateway runs as user 0; chown it"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			file := filepath.Join(folder, "abcd.json")
			if err := tc.make(file); err != nil {
				if os.Geteuid() != 0 {
					t.Skip("this needs root:", err)
				}
				t.Fatal(err)
			}
			r, problems := Open(folder, testKey)
			checkRejected(t, r, problems, file, tc.want)
		})
	}
}

func TestOpen_FolderOwner(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(folder string) error
		want  string
	}{
		"writable by the group": {
			func(folder string) error { return os.Chmod(folder, 0o770) },
			"can be written by others (mode 0770); chmod go-w it",
		},
		"writable by others": {
			func(folder string) error { return os.Chmod(folder, 0o1777) },
			"can be written by others (mode 0777); chmod go-w it",
		},
		"another owner": {
			func(folder string) error { return os.Chown(folder, 12345, -1) },
			"belongs to user 12345, but the gateway runs as user 0; chown it",
		},
		"link": {func(folder string) error {
			if err := os.Rename(folder, folder+"2"); err != nil {
				return err
			}
			return os.Symlink(folder+"2", folder)
		}, "is not a directory, but a symbolic link"},
		"file": {func(folder string) error {
			if err := os.RemoveAll(folder); err != nil {
				return err
			}
			return os.WriteFile(folder, nil, 0o600)
		}, "is not a directory, but a file"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "jobs")
			running := open(t, folder)
			op := startOp(t, running, web)
			if err := op.SaveDefinition(webDefinition, 1); err != nil {
				t.Fatal(err)
			}
			if err := tc.spoil(folder); err != nil {
				if os.Geteuid() != 0 {
					t.Skip("this needs root:", err)
				}
				t.Fatal(err)
			}
			r, problems := Open(folder, testKey)
			checkRejected(t, r, problems, folder, tc.want)
			// Neither a running gateway nor a new one writes to the folder.
			for _, r := range []*Registry{running, r} {
				job := web
				job.ID, job.Root = "p-team1-other", "p-team1-other"
				err := startOp(t, r, job).SaveDefinition(json.RawMessage(`{"ID":"p-team1-other","Namespace":"default"}`), 1)
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
			}
		})
	}
}

// TestSaveDefinition_Rejects checks that SaveDefinition rejects what Open would reject.
func TestSaveDefinition_Rejects(t *testing.T) {
	for definition, want := range map[string]string{
		`{"ID":"p-team2-shop","Namespace":"default"}`:                             "is for job",
		`{"ID":"p-team1-web","Namespace":"kube"}`:                                 "is for namespace",
		`{"ID":"p-team1-web","Namespace":"default","ParentID":"p-team2-x"}`:       "belongs to job",
		`{"ID":"p-team1-web","Namespace":"default","x":"` + huge() + `"}`:         "larger than 16 MiB",
		`{"ID":"p-team1-web","Namespace":"default","Meta":{"ID":"p-team2-shop"}}`: "",
	} {
		folder := filepath.Join(t.TempDir(), "jobs")
		r := open(t, folder)
		err := startOp(t, r, web).SaveDefinition(json.RawMessage(definition), 1)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.80s: got %v, want %q", definition, err, want)
		}
		if saved := open(t, folder).Restorable(); len(saved) == 1 != (want == "") {
			t.Errorf("%.80s: got %d definitions", definition, len(saved))
		}
	}
	r, _ := Open(t.TempDir())
	if err := startOp(t, r, web).SaveDefinition(webDefinition, 1); err == nil ||
		!strings.Contains(err.Error(), "no key") {
		t.Errorf("without a key: got %v", err)
	}
}

func huge() string { return strings.Repeat("x", maxFileSize) }

// TestOpen_HostKeyReplaced checks the two steps to replace a host key: while both keys are configured, every file is
// accepted and signed again with the first key. Then the old key can be removed.
func TestOpen_HostKeyReplaced(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "jobs")
	before, after := Key{1}, Key{2}
	r := open(t, folder)
	if err := startOp(t, r, web).SaveDefinition(webDefinition, 1); err != nil {
		t.Fatal(err)
	}
	if r, problems := Open(folder, after); len(problems) != 1 || len(r.Restorable()) != 0 {
		t.Errorf("with the new key alone: got %v and %+v, want a problem", problems, r.Restorable())
	}
	for _, keys := range [][]Key{{after, before}, {after}} {
		if r, problems := Open(folder, keys...); len(problems) != 0 || len(r.Restorable()) != 1 {
			t.Errorf("with %d keys: got %v and %+v, want it restorable", len(keys), problems, r.Restorable())
		}
	}
}

// TestSetKeys replaces the host key of a running gateway in the same two steps.
func TestSetKeys(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "jobs")
	old, replacement := Key{1}, Key{2}
	r, _ := Open(folder, old)
	if err := startOp(t, r, web).SaveDefinition(webDefinition, 1); err != nil {
		t.Fatal(err)
	}
	if problems := r.SetKeys(replacement, old); len(problems) > 0 {
		t.Fatal(problems)
	}
	if again, problems := Open(folder, replacement); len(problems) > 0 || len(again.Restorable()) != 1 {
		t.Errorf("after a restart with the new key: %v, %v, want the definition", again.Restorable(), problems)
	}
	if problems := r.SetKeys(Key{3}); len(problems) != 1 || !errors.Is(problems[0], errForged) {
		t.Errorf("with a key that has signed nothing: got %v, want %v", problems, errForged)
	}
	if problems := r.SetKeys(Key{3}); len(problems) > 0 {
		t.Errorf("without a change: got %v", problems)
	}
}

func TestNewKey(t *testing.T) {
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	other, _ := rsa.GenerateKey(rand.Reader, 2048)
	file := func(key any, comment string) []byte {
		block, err := ssh.MarshalPrivateKey(key, comment)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(block)
	}
	derived := func(file []byte) Key {
		key, err := NewKey(file)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	one := derived(file(private, "a"))
	if again := derived(file(private, "b")); again != one {
		t.Error("another comment changes the key")
	}
	if another := derived(file(other, "")); another == one || another == (Key{}) {
		t.Error("two host keys give the same key")
	}
	if strings.Contains(fmt.Sprint(one[:]), fmt.Sprint(private.Seed()[:8])) {
		t.Error("the key holds a part of the host key")
	}
	if _, err := NewKey([]byte("nothing")); err == nil {
		t.Error("got a key from an invalid host key")
	}
}
