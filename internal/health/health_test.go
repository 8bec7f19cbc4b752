package health

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, answer, banner, err string }{
		{"a gateway", "SSH-2.0-OpenSSH_nomadctld\r\n", "SSH-2.0-OpenSSH_nomadctld", ""},
		{"a web server", "HTTP/1.1 400 Bad Request\r\n", "", `is not an SSH server: it sent "HTTP/1.1 400 Bad Request\r\n"`},
		{"an old SSH server", "SSH-1.5-old\r\n", "", "is not an SSH server"},
		{"a line without a newline", strings.Repeat("x", 1<<16), "", "is not an SSH server"},
		{"closes the connection", "", "", "closes the connection immediately"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address, banner, err := Check(t.Context(), serveText(t, test.answer), nil)
			if banner != test.banner || (err == nil) != (test.err == "") ||
				err != nil && !strings.Contains(err.Error(), address+" "+test.err) {
				t.Errorf("got %q, %v, want %q, %q", banner, err, test.banner, test.err)
			}
		})
	}
}

// TestCheck_Proxy checks what the gateway gets if it expects the PROXY protocol from this machine.
func TestCheck_Proxy(t *testing.T) {
	t.Parallel()
	for network, want := range map[string]string{"127.0.0.0/8": "PROXY UNKNOWN\r\nSSH-2.0-", "10.0.0.0/8": "SSH-2.0-"} {
		l := listen(t)
		got := make(chan string, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			buf := make([]byte, len(want))
			io.ReadFull(conn, buf)
			got <- string(buf)
			io.WriteString(conn, "SSH-2.0-x\r\n")
		}()
		if _, _, err := Check(t.Context(), l.Addr().String(), []netip.Prefix{netip.MustParsePrefix(network)}); err != nil {
			t.Error(err)
		}
		if text := <-got; text != want {
			t.Errorf("%s: the gateway got %q, want %q", network, text, want)
		}
	}
}

func TestCheck_ContextCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	l := listen(t)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		cancel()
		io.Copy(io.Discard, conn)
	}()
	_, _, err := Check(ctx, l.Addr().String(), nil)
	if err == nil {
		t.Error("got no error for a server that says nothing")
	}
}

func TestCheck_NothingListening(t *testing.T) {
	t.Parallel()
	l := listen(t)
	l.Close()
	if _, _, err := Check(t.Context(), l.Addr().String(), nil); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v, want a refused connection", err)
	}
}

func TestDialAddress(t *testing.T) {
	t.Parallel()
	for bind, want := range map[string]string{
		":2222": "127.0.0.1:2222", "0.0.0.0:22": "127.0.0.1:22", "[::]:22": "[::1]:22", "192.0.2.1:22": "192.0.2.1:22",
		"gw:22": "gw:22",
	} {
		if got, err := dialAddress(bind); got != want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", bind, got, err, want)
		}
	}
	if _, err := dialAddress(":0"); err == nil {
		t.Error("got no error for an unknown port")
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// serveText returns the address of a server that reads the client's line, sends text and closes the connection.
func serveText(t *testing.T, text string) string {
	t.Helper()
	l := listen(t)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Read(make([]byte, 255))
		io.WriteString(conn, text)
	}()
	return l.Addr().String()
}
