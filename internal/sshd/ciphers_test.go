package sshd

import (
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

func TestOpenSSHIsOfferedTheFastCiphersOnlyAndOthersAll(t *testing.T) {
	if !hasAES() {
		t.Skip("this processor has no AES built in")
	}
	all := gossh.SupportedAlgorithms().Ciphers
	for client, want := range map[string]int{"SSH-2.0-OpenSSH_9.2p1 Debian": 2, "SSH-2.0-dropbear_2022.83": len(all), "": len(all)} {
		got := offer(all, client)
		if len(got) != want || got[0] != gossh.CipherAES128GCM || got[1] != gossh.CipherAES256GCM {
			t.Errorf("%q: got %v", client, got)
		}
		for _, cipher := range got {
			if !slices.Contains(all, cipher) {
				t.Errorf("%q: %s is not supported", client, cipher)
			}
		}
	}
}

func TestTheClientsVersionIsReadAndLeft(t *testing.T) {
	for sent, want := range map[string]string{
		"SSH-2.0-OpenSSH_9.2p1\r\nmore": "SSH-2.0-OpenSSH_9.2p1", "SSH-2.0-x\n": "SSH-2.0-x", "SSH-2.0-half": "", "": "",
	} {
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			c := newConnection(server, Limits{Handshake: time.Minute})
			go func() {
				for _, b := range []byte(sent) { // in the smallest pieces
					client.Write([]byte{b})
				}
				if want == "" {
					time.Sleep(time.Second)
				}
				client.Close()
			}()
			if got := c.version(); got != want {
				t.Errorf("%q: got %q, want %q", sent, got, want)
			}
			if all, _ := io.ReadAll(c); string(all) != sent {
				t.Errorf("%q: %q was left to be read", sent, all)
			}
			c.Close()
		})
	}
}

func TestAClientWithoutTheFastCiphersGetsInAtItsSecondAttempt(t *testing.T) {
	if !hasAES() {
		t.Skip("this processor has no AES built in")
	}
	s := start(t, Limits{}, who)
	config := &gossh.ClientConfig{
		User: "ann", Auth: []gossh.AuthMethod{gossh.PublicKeys(s.ann)}, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
		ClientVersion: "SSH-2.0-OpenSSH_9.2", Config: gossh.Config{Ciphers: []string{gossh.CipherChaCha20Poly1305}},
	}
	if _, err := gossh.Dial("tcp", s.addr, config); err == nil {
		t.Error("the slow cipher is offered to OpenSSH")
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		client, err := gossh.Dial("tcp", s.addr, config)
		if err == nil {
			client.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
