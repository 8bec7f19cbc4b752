package docker

import (
	"errors"
	"strings"
	"testing"

	"nomadctld/internal/tlsfiles"
)

func TestEndpoint_SettingsAndNode(t *testing.T) {
	node := Node{Name: "node-1.dc1", Address: "192.0.2.7"}
	v6 := Node{Name: "node-2", Address: "fd00::1"}
	ca := tlsfiles.Files{ServerName: "docker"}
	for _, c := range []struct {
		settings Settings
		node     Node
		want     string
	}{
		{Settings{}, node, "http://node-1.dc1:2375"},
		{Settings{TLS: ca}, node, "https://node-1.dc1:2376"},
		{Settings{Port: "4243"}, node, "http://node-1.dc1:4243"},
		{Settings{Port: "4243", Host: "tcp://{address}"}, node, "http://192.0.2.7:4243"},
		{Settings{Port: "4243", Host: "tcp://{address}:1/"}, node, "http://192.0.2.7:1"},
		{Settings{Port: "4243", Host: "tcp://{address}"}, v6, "http://[fd00::1]:4243"},
		{Settings{Host: "tcp://[{address}]:1", TLS: ca}, v6, "https://[fd00::1]:1"},
		{Settings{Host: "tcp://{node}.example.org:1"}, node, "http://node-1.dc1.example.org:1"},
		{Settings{Host: "http://{node}"}, node, "http://node-1.dc1"},
		{Settings{Host: "https://{node}"}, node, "https://node-1.dc1"},
		{Settings{Host: "unix:///var/run/docker.sock"}, Node{}, "unix:///var/run/docker.sock"},
		{Settings{Host: "unix:///run/{node}.sock"}, node, "unix:///run/node-1.dc1.sock"},
		{Settings{Host: "unix:///run/{address}.sock"}, v6, "unix:///run/fd00::1.sock"},
	} {
		d, err := Open(c.settings)
		if err != nil {
			t.Errorf("%+v: %v", c.settings, err)
			continue
		}
		if got, err := d.endpoints.endpoint(c.node); got != c.want || err != nil {
			t.Errorf("%+v for %+v: got %q, %v, want %q", c.settings, c.node, got, err, c.want)
		}
		if _, err := d.daemon(c.node); err != nil {
			t.Errorf("%+v for %+v: %v", c.settings, c.node, err)
		}
	}
}

func TestOpen_BadSettingsRefused(t *testing.T) {
	for _, s := range []Settings{
		{Host: "docker"},
		{Host: "ssh://{node}"},
		{Host: "tcp://"},
		{Host: "tcp://{node}:"},
		{Host: "tcp://{node}:0"},
		{Host: "tcp://{node}:65536"},
		{Host: "tcp://{node}:{address}"},
		{Host: "tcp://{node}/path"},
		{Host: "tcp://user@{node}"},
		{Host: "tcp://{name}:1"},
		{Host: "tcp://{node}?x"},
		{Host: "unix://docker.sock"},
		{Host: "unix://"},
		{Port: "x"},
		{Port: "70000"},
		{Port: "80/x"},
		{API: "newest"},
		{API: "1.x"},
		{Host: "http://{node}", TLS: tlsfiles.Files{ServerName: "docker"}},
		{Host: "unix:///var/run/docker.sock", TLS: tlsfiles.Files{ServerName: "docker"}},
	} {
		if _, err := Open(s); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func TestEndpoint_HostileNodeNames(t *testing.T) {
	for _, value := range []string{
		"", ".", "..", "../x", "/etc", "a/b", "a:1", "a@b", "a?b", "a#b", "a%41", "[::1]", "fe80::1%lo", "a b",
		"a\nb", "ä",
		"-x", ".x", "{address}", "{node}", "a\x1b[2J", "::1/x", "fd00::g",
	} {
		for _, c := range []struct {
			host string
			node Node
		}{
			{"tcp://{node}:1", Node{Name: value, Address: "192.0.2.7"}},
			{"tcp://{address}:1", Node{Name: "good", Address: value}},
			{"unix:///run/{node}/docker.sock", Node{Name: value}},
			{"unix:///run/{address}.sock", Node{Name: "good", Address: value}},
		} {
			d, err := Open(Settings{Host: c.host})
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.Inspect(t.Context(), c.node, "web", "1")
			if !errors.Is(err, ErrUnreachable) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q in %s: got %q, want one line with %q", value, c.host, err, ErrUnreachable)
			}
			if len(d.daemons) != 0 {
				t.Errorf("%q in %s: a client was created", value, c.host)
			}
		}
	}
}

func TestEndpoint_NeedsAddress(t *testing.T) {
	for host, want := range map[string]bool{
		"": false, "tcp://{node}": false, "tcp://{address}": true,
		"tcp://[{address}]:1": true, "unix:///x": false,
	} {
		d, err := Open(Settings{Host: host})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.NeedsAddress(); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}

func TestDaemons_Bounded(t *testing.T) {
	d, err := Open(Settings{})
	if err != nil {
		t.Fatal(err)
	}
	first, _ := d.daemon(Node{Name: "same"})
	if again, _ := d.daemon(Node{Name: "same"}); again != first {
		t.Error("the same node got another client")
	}
	for i := range 2 * maxDaemons {
		if _, err := d.daemon(Node{Name: "node-" + strings.Repeat("x", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.daemons) != maxDaemons {
		t.Errorf("got %d, want %d", len(d.daemons), maxDaemons)
	}
}
