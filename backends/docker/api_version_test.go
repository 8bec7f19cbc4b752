package docker

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	dockerclient "github.com/fsouza/go-dockerclient"
)

func TestChooseAPI(t *testing.T) {
	for _, c := range []struct{ oldest, latest, pinned, want, wantErr string }{
		{"1.12", "1.41", "", "1.41", ""},
		{"1.44", "1.52", "", "1.52", ""},
		{"1.44", "1.99", "", "1.52", ""},
		{"", "1.24", "", "1.24", ""},
		{"1.53", "1.99", "", "", "requires API 1.53 or newer, the gateway supports only up to 1.52"},
		{"1.12", "1.41", "1.24", "1.24", ""},
		{"1.12", "1.41", "1.41", "1.41", ""},
		{"1.44", "1.99", "1.60", "1.60", ""},
		{"1.40", "1.52", "1.24", "1.52", ""},
		{"1.40", "1.99", "1.24", "1.52", ""},
		{"1.12", "1.41", "1.44", "1.41", ""},
		{"1.9", "1.10", "1.8", "1.10", ""},
		{"1.53", "1.99", "1.24", "", "requires API 1.53 or newer, the gateway supports only up to 1.52"},
	} {
		got, err := chooseAPI(parseAPI(t, c.oldest), parseAPI(t, c.latest), parseAPI(t, c.pinned))
		if got.String() != c.want || (err == nil) != (c.wantErr == "") || err != nil && err.Error() != c.wantErr {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
}

func parseAPI(t *testing.T, text string) dockerclient.APIVersion {
	t.Helper()
	if text == "" {
		return nil
	}
	version, err := dockerclient.NewAPIVersion(text)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func TestPinnedVersion_DaemonDoesNotSpeakIt(t *testing.T) {
	settings := respondingDaemon(t, map[string]string{
		"/version":                     `{"ApiVersion":"1.52","MinAPIVersion":"1.40"}`,
		"/v1.52/containers/web-1/json": anyContainer,
	})
	var log bytes.Buffer
	settings.API, settings.Log = "1.24", slog.New(slog.NewTextHandler(&log, nil))
	d := mustOpen(t, settings)
	for range 3 {
		if got, err := d.Inspect(t.Context(), Node{Name: "node-1"}, "web", "1"); string(got) != anyContainer ||
			err != nil {
			t.Errorf("got %s, %v", got, err)
		}
	}
	if logged := log.String(); strings.Count(logged, "\n") != 1 || !strings.Contains(logged, "level=WARN") ||
		!strings.Contains(logged, "dockerapi=1.24 oldest=1.40 newest=1.52 using=1.52") {
		t.Errorf("logged %q", logged)
	}
}

// respondingDaemon starts a daemon that responds to each path with a status and a body, and with 404 to other paths.
func respondingDaemon(t *testing.T, paths map[string]string) Settings {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, known := paths[r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusNotFound)
			body = `{"message":"No such container"}`
		}
		if text, refused := strings.CutPrefix(body, "400 "); refused {
			w.WriteHeader(http.StatusBadRequest)
			body = text
		}
		if to, moved := strings.CutPrefix(body, "301 "); moved {
			http.Redirect(w, r, to, http.StatusMovedPermanently)
			return
		}
		w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return Settings{Host: server.URL}
}

const anyContainer = `{ "Name":"/web-1", "Config":{"Labels":{"com.hashicorp.nomad.alloc_id":"1"}},
	"Unknown":[1.10, 12345678901234567890, 1e400, "<\u0026>"], "Config2":{}}` + "\n"

func TestInspect_ByteForByte(t *testing.T) {
	got, err := inspect(t, respondingDaemon(t, map[string]string{
		"/version":                        `{"ApiVersion":"1.41","MinAPIVersion":"1.12"}`,
		"/v1.41/containers/web-1/json":    anyContainer,
		"/v1.41/containers/json":          "[]",
		"/v1.41/containers/web%2d1/json":  "",
		"/v1.41/containers/web-1/json?/x": "",
	}), "web", "1")
	if string(got) != anyContainer || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestInspect_BadResponses(t *testing.T) {
	const version = `{"ApiVersion":"1.41"}`
	const path = "/v1.41/containers/web-1/json"
	for name, c := range map[string]struct {
		paths map[string]string
		want  string
	}{
		"not docker": {map[string]string{}, "returned 404 No such container"},
		"html":       {map[string]string{"/version": "<html>"}, "returned an invalid response"},
		"no version": {map[string]string{"/version": "{}"}, "returned an invalid response"},
		"malformed version": {
			map[string]string{"/version": `{"ApiVersion":"../x."}`},
			"returned an invalid response",
		},
		"malformed minimum": {
			map[string]string{"/version": `{"ApiVersion":"1.41","MinAPIVersion":"x"}`},
			"returned an invalid response",
		},
		"truncated container": {
			map[string]string{"/version": version, path: anyContainer[:50]},
			"returned an invalid response",
		},
		"wrong type": {map[string]string{"/version": version, path: `[]`}, "returned an invalid response"},
		"too large": {map[string]string{
			"/version": version,
			path:       anyContainer + strings.Repeat(" ", maxResponse),
		}, "returned an invalid response"},
		"many lines": {map[string]string{"/version": version, path: "400 one\ntwo"}, "returned 400 one"},
		"JSON error": {
			map[string]string{"/version": version, path: `400 {"message":"one"}`},
			"returned 400 one",
		},
		"redirect": {
			map[string]string{"/version": version, path: "301 /other", "/other": anyContainer},
			"returned 301",
		},
		"version redirect": {
			map[string]string{"/version": "301 /other", "/other": version},
			"returned an invalid response",
		},
		"invalid list": {
			map[string]string{"/version": version, "/v1.41/containers/json": "{}"},
			"returned an invalid response",
		},
	} {
		_, err := inspect(t, respondingDaemon(t, c.paths), "web", "1")
		if want := "the Docker daemon of node node-1 " + c.want; err == nil ||
			!strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func TestAPIVersion_Renegotiated(t *testing.T) {
	var serves atomic.Value
	serves.Store("1.41")
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version := serves.Load().(string)
		switch r.URL.Path {
		case "/version":
			asked.Add(1)
			w.Write([]byte(`{"ApiVersion":"` + version + `","MinAPIVersion":"` + version + `"}`))
		case "/v" + version + "/containers/web-1/json":
			w.Write([]byte(anyContainer))
		default:
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte("client version is not supported"))
		}
	}))
	defer server.Close()
	d := mustOpen(t, Settings{Host: server.URL})
	for i, c := range []struct {
		version string
		asked   int32
	}{{"1.41", 1}, {"1.41", 1}, {"1.44", 2}, {"1.44", 2}, {"1.40", 3}} {
		serves.Store(c.version)
		if _, err := d.Inspect(t.Context(), Node{Name: "node-1"}, "web", "1"); err != nil || asked.Load() != c.asked {
			t.Errorf("request %d: %v, version requested %d times, want %d", i, err, asked.Load(), c.asked)
		}
	}
}
