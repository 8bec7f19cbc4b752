package config_test

import (
	"strings"
	"testing"

	"nomadctld/config"
)

// What people paste in the wrong place must not end up in a log.
func TestSecretsAreNeverShown(t *testing.T) {
	const token = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	inFixture(t)
	private := string(read(t, "hostkey"))
	body := strings.Split(private, "\n")[1]
	for name, text := range map[string]string{
		"token instead of its file":       edit(t, "[prefix.lnx]", "token = \""+token+"\"\n[prefix.lnx]"),
		"token without quotes":            edit(t, "[prefix.lnx]", "token = "+token+"\n[prefix.lnx]"),
		"token that begins like a word":   edit(t, "[prefix.lnx]", "token = e"+token[1:]+"\n[prefix.lnx]"),
		"token in a list":                 edit(t, "[prefix.lnx]", "token = [\""+token+"\"]\n[prefix.lnx]"),
		"token in the url":                edit(t, "http://", "http://x:"+token+"@"),
		"token in the query":              edit(t, ":4646", ":4646?"+token),
		"private key instead of its file": edit(t, `"hostkey"`, `"""`+private+`"""`),
		"private key instead of its pub":  edit(t, `"`+wim+`"`, `"""`+private+`"""`),
		"body of a private key":           edit(t, wim, body),
		"private key as the token":        edit(t, "[prefix.lnx]", "token = \"hostkey\"\n[prefix.lnx]"),
		"private key as the CA":           edit(t, "[prefix.lnx]", "[auth]\nuserca = \"hostkey-rsa\"\n[prefix.lnx]"),
		"damaged private key":             edit(t, `"hostkey"`, `"damaged"`),
	} {
		write(t, "damaged", []byte(strings.Replace(private, body, "AAAA"+body, 1)))
		write(t, "nomadctld.toml", []byte(text))
		cfg, faults := config.Load("nomadctld.toml", commands)
		if cfg != nil || len(faults) == 0 {
			t.Errorf("%s: got a config, want a fault", name)
		}
		for _, secret := range []string{token[1:], body[4:], "a-token"} {
			if strings.Contains(lines(faults), secret) {
				t.Errorf("%s: got the secret shown, want it left out:\n%s", name, lines(faults))
			}
		}
	}
}
