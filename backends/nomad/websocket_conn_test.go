package nomad

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// The heartbeat is told from other messages as the websocket library writes it.
func TestHeartbeatConn(t *testing.T) {
	t.Parallel()
	messages := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var upgrader websocket.Upgrader
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			_, text, err := conn.ReadMessage()
			if err != nil {
				return
			}
			messages <- strings.TrimSpace(string(text))
		}
	}))
	defer server.Close()
	l := &websocketConn{}
	defer l.close()
	var wire *heartbeatConn
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := l.dial(ctx, network, address)
		wire, _ = conn.(*heartbeatConn)
		return conn, err
	}}
	conn, _, err := dialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	writes := func(message any) {
		t.Helper()
		if err := conn.WriteJSON(message); err != nil {
			t.Fatal(err)
		}
	}
	writes(struct{}{})
	writes("x")
	if got := <-messages; got != `"x"` {
		t.Errorf("with nobody reading, %s went out", got)
	}
	go conn.ReadMessage()
	for deadline := time.Now().Add(10 * time.Second); !wire.reading.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody reads")
		}
	}
	writes(struct{}{})
	if got := <-messages; got != "{}" {
		t.Errorf("got %s, want the heartbeat", got)
	}
}
