package gateway

import (
	"net"
	"strings"
	"testing"
)

func TestListen_PortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = listen(l.Addr().String())
	want := "general.bind: cannot listen on " + l.Addr().String() + ": bind: address already in use; " +
		"stop the other program, or choose another port"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := listen("192.0.2.1:0"); err == nil || !strings.HasPrefix(err.Error(), "general.bind: ") {
		t.Errorf("got %v, want an error that names the setting", err)
	}
}
