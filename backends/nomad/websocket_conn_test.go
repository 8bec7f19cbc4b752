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

// TestHeartbeatConn writes messages with the real websocket library, because heartbeats are detected by their length.
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
	wsConn := &websocketConn{}
	defer wsConn.close()
	var filtered *heartbeatConn
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := wsConn.dial(ctx, network, address)
		filtered, _ = conn.(*heartbeatConn)
		return conn, err
	}}
	conn, _, err := dialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	write := func(message any) {
		t.Helper()
		if err := conn.WriteJSON(message); err != nil {
			t.Fatal(err)
		}
	}
	write(struct{}{})
	write("x")
	if got := <-messages; got != `"x"` {
		t.Errorf("without a pending read, %s was sent", got)
	}
	go conn.ReadMessage()
	for deadline := time.Now().Add(10 * time.Second); !filtered.reading.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no read is pending")
		}
	}
	write(struct{}{})
	if got := <-messages; got != "{}" {
		t.Errorf("got %s, want the heartbeat", got)
	}
}
