package sshd

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

func TestHostKey_RSASignsWithSHA2(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseHostKeys(pem.EncodeToMemory(block))
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, Limits{}, whoHandler, keys...)
	for algorithm, want := range map[string]bool{
		gossh.KeyAlgoRSA: false, gossh.KeyAlgoRSASHA256: true,
		gossh.KeyAlgoRSASHA512: true,
	} {
		client, err := gossh.Dial("tcp", s.addr, &gossh.ClientConfig{
			User: "ann", Auth: []gossh.AuthMethod{gossh.PublicKeys(s.ann)},
			HostKeyCallback: gossh.InsecureIgnoreHostKey(), HostKeyAlgorithms: []string{algorithm},
		})
		if err == nil {
			client.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: got %v", algorithm, err)
		}
	}
}

func TestHostKey_SameTypeTwiceRefused(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := pem.EncodeToMemory(block)
	if _, err := ParseHostKeys(file, file); err == nil {
		t.Error("got no error")
	}
}
