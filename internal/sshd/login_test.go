package sshd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// mismatchedSigner offers one key and signs with another.
type mismatchedSigner struct{ shown, signs gossh.Signer }

func (o mismatchedSigner) PublicKey() gossh.PublicKey { return o.shown.PublicKey() }

func (o mismatchedSigner) Sign(rand io.Reader, data []byte) (*gossh.Signature, error) {
	return o.signs.Sign(rand, data)
}

func TestLogin_IdentityOfProvenKey(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	mallory := newKey(t)
	for _, tc := range []struct {
		name string
		user string
		keys []gossh.Signer
		want string // login; empty: refused
	}{
		{"own key", "ann", []gossh.Signer{s.ann}, "ann"},
		{"another user's name", "bob", []gossh.Signer{s.ann}, ""},
		{"unknown key", "ann", []gossh.Signer{mallory}, ""},
		{"unknown user", "eve", []gossh.Signer{s.ann}, ""},
		{"offer ann's key, sign with mallory's", "ann", []gossh.Signer{mismatchedSigner{s.ann, mallory}}, ""},
		{"offer ann's key, sign with bob's", "ann", []gossh.Signer{mismatchedSigner{s.ann, s.bob}}, ""},
		{"offer ann's key, then prove mallory's", "ann", []gossh.Signer{mismatchedSigner{s.ann, mallory}, mallory}, ""},
		{"wrong key first", "ann", []gossh.Signer{mallory, s.ann}, "ann"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client, err := s.dial(t, tc.user, tc.keys...)
			if tc.want == "" {
				if err == nil {
					got := runLine(t, client, "whoami")
					t.Fatalf("logged in as %q, want a refusal", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := runLine(t, client, "whoami"); !strings.HasPrefix(got, tc.want+" ") {
				t.Errorf("got %q, want %s", got, tc.want)
			}
		})
	}
	s.wantAlive(t)
}

func TestLogin_KeyRequired(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	for name, auth := range map[string][]gossh.AuthMethod{
		"none":     nil,
		"password": {gossh.Password("")},
		"keyboard": {gossh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) {
			return nil,
				nil
		})},
	} {
		client, err := gossh.Dial("tcp", s.addr, &gossh.ClientConfig{
			User: "ann", Auth: auth,
			HostKeyCallback: gossh.InsecureIgnoreHostKey(),
		})
		if err == nil {
			client.Close()
			t.Errorf("%s: login succeeded", name)
		}
	}
}

func TestHandshake_SilentClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{MaxStartups: startups(8)}, whoHandler)
		var silent []net.Conn
		for range 2 {
			conn, err := s.connect()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.Read(make([]byte, 1)) // the server has started to serve it
			silent = append(silent, conn)
		}
		// A quarter of the slots is for one network, so this login takes the slot of the oldest connection.
		first, err := s.dial(t, "ann", s.ann)
		if err != nil {
			t.Fatalf("while two connections were silent: %v", err)
		}
		first.Close()
		for _, conn := range silent {
			conn.SetReadDeadline(time.Now().Add(s.current().Limits.HandshakeTimeout + time.Second))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a silent connection was not closed")
			}
		}
		client := s.annsClient(t)
		time.Sleep(s.current().Limits.HandshakeTimeout + time.Second)
		runLine(t, client, "still here")
	})
}

// TestHandshake_FailedNoLeaks sends a packet that fails the handshake and then more packets than x/crypto's queue
// holds.
func TestHandshake_FailedNoLeaks(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	s.wantAlive(t)
	before := runtime.NumGoroutine()
	for range 20 {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		// An unencrypted packet is a length, a padding length, a type and padding. A service request is the wrong first
		// message of a key exchange. Many more follow.
		packet := []byte{0, 0, 0, 12, 10, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		conn.Write(append([]byte("SSH-2.0-x\r\n"), bytes.Repeat(packet, 200)...))
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	eventually(t, "the goroutines have exited", func() bool { return runtime.NumGoroutine() <= before+2 })
}
