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

func TestCiphers_Offer(t *testing.T) {
	if !hasAES() {
		t.Skip("this processor has no AES instructions")
	}
	all := gossh.SupportedAlgorithms().Ciphers
	has := func(in, out string) *kexInit { return &kexInit{in: []string{in}, out: []string{out}} }
	const openSSH, chacha = "SSH-2.0-OpenSSH_9.2p1 Debian", gossh.CipherChaCha20Poly1305
	for _, tc := range []struct {
		client string
		init   *kexInit
		want   int
	}{
		{
			openSSH, &kexInit{in: []string{chacha, gossh.CipherAES256GCM}, out: []string{gossh.CipherAES128GCM, chacha}},
			2,
		},
		{openSSH, has(chacha, chacha), len(all)},
		{openSSH, has(gossh.CipherAES128GCM, chacha), len(all)},
		{openSSH, has(chacha, gossh.CipherAES128GCM), len(all)},
		{openSSH, nil, len(all)},
		{"SSH-2.0-dropbear_2022.83", has(gossh.CipherAES128GCM, gossh.CipherAES128GCM), len(all)},
		{"", nil, len(all)},
	} {
		got := offeredCiphers(all, tc.client, tc.init)
		if len(got) != tc.want || got[0] != gossh.CipherAES128GCM || got[1] != gossh.CipherAES256GCM {
			t.Errorf("%q %v: got %v", tc.client, tc.init, got)
		}
		for _, cipher := range got {
			if !slices.Contains(all, cipher) {
				t.Errorf("%q: %s is not supported", tc.client, cipher)
			}
		}
	}
}

// TestCiphers_EachConnects connects with each single cipher, as OpenSSH and as another client, with both orders of the
// first two packets.
func TestCiphers_EachConnects(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	for _, version := range []string{"SSH-2.0-OpenSSH_9.2", "SSH-2.0-Go"} {
		for _, cipher := range gossh.SupportedAlgorithms().Ciphers {
			client, err := gossh.Dial("tcp", s.addr, &gossh.ClientConfig{
				User: "ann", Auth: []gossh.AuthMethod{gossh.PublicKeys(s.ann)},
				HostKeyCallback: gossh.InsecureIgnoreHostKey(),
				ClientVersion:   version, Config: gossh.Config{Ciphers: []string{cipher}},
			})
			if err != nil {
				t.Errorf("%s with %s: %v", version, cipher, err)
				continue
			}
			if got := runLine(t, client, "x"); got != "ann x\n" {
				t.Errorf("%s with %s: got %q", version, cipher, got)
			}
			client.Close()
		}
	}
}

// kexInitPacket returns the KEXINIT packet of a client with these ciphers.
func kexInitPacket(ciphers string) []byte {
	lists := []string{"curve25519-sha256", "ssh-ed25519", ciphers, ciphers, "", "", "none", "none", "", ""}
	payload := make([]byte, 17)
	payload[0] = msgKexInit
	for _, list := range lists {
		payload = append(payload, gossh.Marshal(struct{ S string }{list})...)
	}
	return packetOf(append(payload, 0, 0, 0, 0, 0))
}

// packetOf returns an unencrypted packet.
func packetOf(payload []byte) []byte {
	padding := 8 - (5+len(payload))%8 + 4
	packet := gossh.Marshal(struct {
		Length  uint32
		Padding byte
	}{uint32(1 + len(payload) + padding), byte(padding)})
	return append(append(packet, payload...), make([]byte, padding)...)
}

func TestExchangeVersions_LeavesInput(t *testing.T) {
	first := string(kexInitPacket("aes128-ctr,aes256-ctr"))
	for _, tc := range []struct {
		sent    string
		client  string
		ciphers int  // in the packet; 0: it was not read
		fails   bool // not an SSH client
	}{
		{"SSH-2.0-OpenSSH_9.2p1\r\n" + first + "more", "SSH-2.0-OpenSSH_9.2p1", 2, false},
		{"SSH-2.0-OpenSSH_9.2p1\n" + first, "SSH-2.0-OpenSSH_9.2p1", 2, false},
		{"SSH-2.0-OpenSSH_9.2p1\r\n", "SSH-2.0-OpenSSH_9.2p1", 0, false},
		{"SSH-2.0-OpenSSH_9.2p1\r\n" + first[:100], "SSH-2.0-OpenSSH_9.2p1", 0, false},
		{
			"SSH-2.0-OpenSSH_9.2p1\r\n" + string(packetOf([]byte{2, 0, 0, 0, 0})) + "more", "SSH-2.0-OpenSSH_9.2p1", 0,
			false,
		},
		{"SSH-2.0-x\r\n" + first, "SSH-2.0-x", 0, false},
		{"SSH-2.0-OpenSSH_9.2p1\r\n\x00\x00\x88\xb8", "", 0, true}, // a packet of 35,004 bytes
		{"SSH-2.0-OpenSSH_9.2p1\r\n\xff\xff\xff\xff", "", 0, true},
		{"SSH-2.0-OpenSSH_9.2p1\r\n\x00\x00\x00\x00", "", 0, true},
		{"GET / HTTP/1.1\r\n", "", 0, true},
		{string(make([]byte, 300)), "", 0, true},
		{"SSH-2.0-half", "", 0, true},
		{"", "", 0, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			c := newConnection(server, Limits{HandshakeTimeout: time.Minute, GreetingTimeout: time.Minute})
			defer c.Close()
			go func() {
				line := make([]byte, len(serverVersion)+2)
				io.ReadFull(client, line)
				if string(line) != serverVersion+"\r\n" {
					t.Errorf("got version %q", line)
				}
				for _, b := range []byte(tc.sent) { // one byte at a time
					client.Write([]byte{b})
				}
				if tc.ciphers == 0 && !tc.fails {
					time.Sleep(kexInitTimeout + time.Second) // the client waits for the gateway's packet
				}
				client.Close()
			}()
			got, init, err := c.exchangeVersions()
			if (err != nil) != tc.fails {
				t.Fatalf("%.60q: got %v", tc.sent, err)
			}
			if tc.fails {
				return
			}
			if got != tc.client || (init == nil) != (tc.ciphers == 0) || init != nil &&
				(len(init.in) != tc.ciphers || len(init.out) != tc.ciphers) {
				t.Errorf("%.60q: got %q, %v", tc.sent, got, init)
			}
			if all, _ := io.ReadAll(c); string(all) != tc.sent {
				t.Errorf("%.60q: unread input %q", tc.sent, all)
			}
			if n, err := c.Write([]byte(serverVersion)); n != len(serverVersion) || err != nil {
				t.Errorf("the library's version line: got %d, %v", n, err)
			}
		})
	}
}

func TestKexInit_Strict(t *testing.T) {
	good := kexInitPacket("a,b")[4:]
	if init, err := parseKexInit(good); err != nil || len(init.in) != 2 || len(init.out) != 2 {
		t.Errorf("got %v, %v", init, err)
	}
	for name, ciphers := range map[string]string{
		"empty name": "a,,b", "trailing comma": "a,", "space": "a b", "control character": "a\n",
		"not ASCII":        "\xc3\xa9",
		"name of 65 bytes": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		if init, err := parseKexInit(kexInitPacket(ciphers)[4:]); err == nil {
			t.Errorf("%s: got %v", name, init)
		}
	}
	for n := range good { // each end before the true one
		if init, err := parseKexInit(good[:n]); err == nil {
			t.Errorf("the first %d bytes: got %v", n, init)
		}
	}
}

func FuzzParseKexInit(f *testing.F) {
	f.Add(kexInitPacket("aes128-ctr,chacha20-poly1305@openssh.com")[4:])
	f.Add([]byte{255})
	f.Fuzz(func(t *testing.T, packet []byte) {
		init, err := parseKexInit(packet)
		if err != nil && (init.in != nil || init.out != nil) {
			t.Error("got an error and names")
		}
		for _, name := range slices.Concat(init.in, init.out) {
			if name == "" || len(name) > maxAlgorithmName {
				t.Errorf("got name %q", name)
			}
		}
		var atOnce, chunked packetCounter // no panic, and the same result in chunks
		atOnce.add(packet)
		for _, b := range packet {
			chunked.add([]byte{b})
		}
		if atOnce != chunked {
			t.Errorf("got %+v at once and %+v in chunks", atOnce, chunked)
		}
	})
}
