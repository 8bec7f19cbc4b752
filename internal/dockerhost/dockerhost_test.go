package dockerhost

import "testing"

func TestParse(t *testing.T) {
	for host, want := range map[string]string{
		"":                            "tcp://{node}",
		"tcp://{node}:2376/":          "tcp://{node}:2376",
		"tcp://[{address}]:1":         "tcp://{address}:1",
		"https://{node}.example.org":  "https://{node}.example.org",
		"http://192.0.2.1:65535":      "http://192.0.2.1:65535",
		"tcp://[fd00::1]:1":           "tcp://[fd00::1]:1",
		"unix:///var/run/docker.sock": "unix:///var/run/docker.sock",
		"unix:///run/{node}.sock":     "unix:///run/{node}.sock",
	} {
		if got, err := Parse(host); err != nil || got.Text != want {
			t.Errorf("%q: got %q, %v, want %q", host, got.Text, err, want)
		}
	}
	for _, host := range []string{
		"docker", "ssh://{node}", "tcp://", "tcp://{node}:", "tcp://{node}:0", "tcp://{node}:65536", "tcp://{node}:x",
		"tcp://{node}:{address}", "tcp://{node}/path", "tcp://user@{node}", "tcp://{name}:1", "tcp://{node}?x",
		"tcp://{node}#x", "tcp://a b", "unix://docker.sock", "unix://", "http://:1",
	} {
		if got, err := Parse(host); err == nil {
			t.Errorf("%q is accepted as %q", host, got.Text)
		}
	}
}
