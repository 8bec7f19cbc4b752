package config_test

import (
	"strings"
	"testing"

	"nomadctld/config"
)

// A secret that is pasted into the wrong key must not be printed.
func TestLoad_NeverShowsSecrets(t *testing.T) {
	const token = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	inFixture(t)
	private := string(read(t, "hostkey"))
	body := strings.Split(private, "\n")[1]
	for name, text := range map[string]string{
		"token instead of its file":       editValid(t, "[prefix.lnx]", "token = \""+token+"\"\n[prefix.lnx]"),
		"token without quotes":            editValid(t, "[prefix.lnx]", "token = "+token+"\n[prefix.lnx]"),
		"token that begins like a word":   editValid(t, "[prefix.lnx]", "token = e"+token[1:]+"\n[prefix.lnx]"),
		"token in a list":                 editValid(t, "[prefix.lnx]", "token = [\""+token+"\"]\n[prefix.lnx]"),
		"token in the url":                editValid(t, "http://", "http://x:"+token+"@"),
		"token in the query":              editValid(t, ":4646", ":4646?"+token),
		"private key instead of its file": editValid(t, `"hostkey"`, `"""`+private+`"""`),
		"private key instead of its pub":  editValid(t, `"`+wim+`"`, `"""`+private+`"""`),
		"body of a private key":           editValid(t, wim, body),
		"private key as the token":        editValid(t, "[prefix.lnx]", "token = \"hostkey\"\n[prefix.lnx]"),
		"private key as the CA": editValid(t, "[prefix.lnx]",
			"[auth]\nuserca = \"hostkey-rsa\"\n[prefix.lnx]"),
		"private key as the keys file": editValid(t, "[users.wim]", "[users.wim]\nkeysfile = \"hostkey\""),
		"private key as the revocation list": editValid(t, "[prefix.lnx]",
			"[auth]\nrevoked = \"hostkey\"\n[prefix.lnx]"),
		"damaged private key": editValid(t, `"hostkey"`, `"damaged"`),
	} {
		write(t, "damaged", []byte(strings.Replace(private, body, "AAAA"+body, 1)))
		write(t, "nomadctld.toml", []byte(text))
		cfg, diagnostics := config.Load("nomadctld.toml", commands)
		if cfg != nil || len(diagnostics) == 0 {
			t.Errorf("%s: got a config, want a diagnostic", name)
		}
		for _, secret := range []string{token[1:], body[4:], "a-token"} {
			if strings.Contains(formatDiagnostics(diagnostics), secret) {
				t.Errorf("%s: got the secret, want a message without it:\n%s", name, formatDiagnostics(diagnostics))
			}
		}
	}
}
