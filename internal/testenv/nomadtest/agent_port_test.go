package nomadtest

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

// TestSimulated_AgentAtNomadsPort checks that requests for a simulated node do not reach a real agent on the
// developer's machine.
func TestSimulated_AgentAtNomadsPort(t *testing.T) {
	if listener, err := net.Listen("tcp", "127.0.0.1:4646"); err == nil { // otherwise the port is already in use
		stranger := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t.Errorf("the agent at port 4646 was asked for %s", r.URL.Path)
			http.Error(w, "Permission denied", http.StatusForbidden)
		})}
		go stranger.Serve(listener)
		defer stranger.Close()
	}
	cluster := Simulated(t)
	client, err := api.NewClient(&api.Config{Address: cluster.URL, SecretID: Token})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var stdout, stderr strings.Builder
	code, err := client.Allocations().Exec(t.Context(), allocationOf(t, client, "p-team3-shell"), "box", false,
		[]string{"/bin/echo", "here"},
		strings.NewReader(""), &stdout, &stderr, nil, nil)
	if code != 0 || stdout.String() != "here\n" || err != nil {
		t.Errorf("got %d, %q, %q, %v, want it executed in the simulated cluster", code, stdout.String(), stderr.String(), err)
	}
}
