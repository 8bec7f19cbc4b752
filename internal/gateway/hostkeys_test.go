package gateway

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestDescribeHostKeys_AsSSHKeygen compares with the output of ssh-keygen, which users and operators compare.
func TestDescribeHostKeys_AsSSHKeygen(t *testing.T) {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	var signers []ssh.Signer
	var want []HostKey
	for _, key := range []any{ed, ec, rs} {
		signer, err := ssh.NewSignerFromKey(key)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "hostkey")
		if err := os.WriteFile(file+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("ssh-keygen", "-lf", file+".pub").Output()
		if err != nil {
			t.Skip("this needs ssh-keygen:", err)
		}
		var bits int
		var fingerprint, kind string
		if _, err := fmt.Sscanf(string(out), "%d %s no comment %s", &bits, &fingerprint, &kind); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		files, signers = append(files, file), append(signers, signer)
		want = append(want, HostKey{fingerprint, kind[1 : len(kind)-1], file})
	}
	if got := describeHostKeys(files, signers); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
