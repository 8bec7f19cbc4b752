package nomad

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// listJobs makes one read, and returns the state that it shows.
func listJobs(t *testing.T, ctx context.Context, tier Tier) (state TierState, text string) {
	t.Helper()
	calls := 0
	tier.Name = "production"
	tier.OnState = func(s TierState, _ time.Time, err error) {
		calls++
		if state = s; err != nil {
			text = err.Error()
		}
	}
	clients, err := Open(tier)
	if err != nil {
		t.Fatal(err)
	}
	c := clients["production"]
	c.retryBackoff = time.Millisecond
	readPages(ctx, c, "default", "", capListJobs, c.reads.Jobs().List)
	if calls > 1 {
		t.Errorf("the state was reported %d times for one read", calls)
	}
	return state, text
}

func TestTierState_Responses(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		status    int
		body      string
		tokenFile string
		want      TierState
		text      string
	}{
		"success":           {200, "[]", token, TierUp, ""},
		"no leader":         {500, "No cluster leader", token, TierDown, "Nomad returned 500 No cluster leader"},
		"proxy":             {503, "no server", token, TierDown, "Nomad returned 503 no server"},
		"another error":     {500, "index out of range", token, "", ""},
		"bad token":         {403, "ACL token not found", token, TierTokenRefused, "it is unknown or has expired"},
		"needs a token":     {403, "Permission denied", "", TierTokenRefused, "Nomad rejected the gateway's token"},
		"not Nomad":         {404, "<html>", token, "", ""},
		"bad request":       {400, "invalid filter", token, TierUp, ""},
		"no token file":     {200, "[]", token + "2", TierTokenMissing, "the gateway cannot read its token file"},
		"a directory there": {200, "[]", filepath.Dir(token), TierTokenMissing, "the gateway cannot read its token file"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, tc.body, tc.status)
			}))
			defer server.Close()
			state, text := listJobs(t, t.Context(), Tier{URL: server.URL, TokenFile: tc.tokenFile})
			if state != tc.want || !strings.Contains(text, tc.text) {
				t.Errorf("got %q, %q, want %q, %q", state, text, tc.want, tc.text)
			}
		})
	}
}

// TestTierState_MissingCapability expects that a token that may not list jobs is not a token that is refused.
func TestTierState_MissingCapability(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/acl/token/self") {
			w.Write([]byte("{}"))
			return
		}
		http.Error(w, "Permission denied", http.StatusForbidden)
	}))
	defer server.Close()
	if state, text := listJobs(t, t.Context(), Tier{URL: server.URL, TokenFile: token}); state != TierUp {
		t.Errorf("got %q, %q, want %q", state, text, TierUp)
	}
}

func TestTierState_NoConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	state, text := listJobs(t, t.Context(), Tier{URL: "http://" + l.Addr().String()})
	if state != TierDown || text != "no response: connection refused" {
		t.Errorf("got %q, %q, want %q", state, text, TierDown)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if state, _ := listJobs(t, ctx, Tier{URL: "http://" + l.Addr().String()}); state != "" {
		t.Errorf("a canceled read: got %q, want no state", state)
	}
}

// TestTierState_TimedOut expects that only a read that waited long shows that the tier is down.
func TestTierState_TimedOut(t *testing.T) {
	for timeout, want := range map[time.Duration]TierState{2 * time.Second: "", readTimeout: TierDown} {
		synctest.Test(t, func(t *testing.T) {
			var got TierState
			c := &Client{tier: Tier{OnState: func(s TierState, _ time.Time, _ error) { got = s }}}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			_, err := readObject(ctx, c, "default", capReadJob, func(*api.QueryOptions) (int, *api.QueryMeta, error) {
				<-ctx.Done()
				return 0, nil, ctx.Err()
			})
			if got != want || !errors.Is(err, backends.ErrUnreachable) {
				t.Errorf("after %s: got %q, %v, want %q", timeout, got, err, want)
			}
		})
	}
}
