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
	for _, c := range []struct{ oldest, latest, pinned, want, fault string }{
		{"1.12", "1.41", "", "1.41", ""},
		{"1.44", "1.52", "", "1.52", ""},
		{"1.44", "1.99", "", "1.52", ""},
		{"", "1.24", "", "1.24", ""},
		{"1.53", "1.99", "", "", "speaks API 1.53 and newer, the gateway only up to 1.52"},
		{"1.12", "1.41", "1.24", "1.24", ""},
		{"1.12", "1.41", "1.41", "1.41", ""},
		{"1.44", "1.99", "1.60", "1.60", ""},
		{"1.40", "1.52", "1.24", "1.52", ""},
		{"1.40", "1.99", "1.24", "1.52", ""},
		{"1.12", "1.41", "1.44", "1.41", ""},
		{"1.9", "1.10", "1.8", "1.10", ""},
		{"1.53", "1.99", "1.24", "", "speaks API 1.53 and newer, the gateway only up to 1.52"},
	} {
		got, err := chooseAPI(parseAPI(t, c.oldest), parseAPI(t, c.latest), parseAPI(t, c.pinned))
		if got.String() != c.want || (err == nil) != (c.fault == "") || err != nil && err.Error() != c.fault {
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
		if got, err := d.Inspect(t.Context(), Node{Name: "node-1"}, "web", "1"); string(got) != anyContainer || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
	}
	if said := log.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "level=WARN") || !strings.Contains(said, "dockerapi=1.24 oldest=1.40 newest=1.52 speaking=1.52") {
		t.Errorf("logged %q", said)
	}
}

// respondingDaemon is a daemon that answers each path with a status and a body; paths it does not know with 404.
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
		"not docker":         {map[string]string{}, "answers 404 No such container"},
		"html":               {map[string]string{"/version": "<html>"}, "gives an answer that cannot be read"},
		"no version":         {map[string]string{"/version": "{}"}, "gives an answer that cannot be read"},
		"a strange version":  {map[string]string{"/version": `{"ApiVersion":"../x."}`}, "gives an answer that cannot be read"},
		"a strange oldest":   {map[string]string{"/version": `{"ApiVersion":"1.41","MinAPIVersion":"x"}`}, "gives an answer that cannot be read"},
		"half a container":   {map[string]string{"/version": version, path: anyContainer[:50]}, "gives an answer that cannot be read"},
		"another type":       {map[string]string{"/version": version, path: `[]`}, "gives an answer that cannot be read"},
		"too much":           {map[string]string{"/version": version, path: anyContainer + strings.Repeat(" ", maxResponse)}, "gives an answer that cannot be read"},
		"many lines":         {map[string]string{"/version": version, path: "400 one\ntwo"}, "answers 400 one"},
		"an error in JSON":   {map[string]string{"/version": version, path: `400 {"message":"one"}`}, "answers 400 one"},
		"somewhere else":     {map[string]string{"/version": version, path: "301 /other", "/other": anyContainer}, "answers 301"},
		"version elsewhere":  {map[string]string{"/version": "301 /other", "/other": version}, "gives an answer that cannot be read"},
		"a list in no shape": {map[string]string{"/version": version, "/v1.41/containers/json": "{}"}, "gives an answer that cannot be read"},
	} {
		_, err := inspect(t, respondingDaemon(t, c.paths), "web", "1")
		if want := "the docker daemon of node node-1 " + c.want; err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
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
			t.Errorf("question %d: %v, version asked for %d times, want %d", i, err, asked.Load(), c.asked)
		}
	}
}
