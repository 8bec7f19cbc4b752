package tlsfiles

import "testing"

func TestLoad_NothingSet(t *testing.T) {
	if config, err := (Files{}).Load(); config != nil || err != nil {
		t.Errorf("got %v, %v, want nil", config, err)
	}
	if config, err := (Files{ServerName: "docker"}).Load(); err != nil || config.ServerName != "docker" {
		t.Errorf("got %v, %v, want the server name", config, err)
	}
}

func TestCertPool_NoCertificate(t *testing.T) {
	for _, text := range []string{"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := CertPool([]byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
