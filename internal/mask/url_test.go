package mask

import (
	"encoding/json"
	"testing"
)

func TestPath_LikeJSON(t *testing.T) {
	for path, want := range map[string]string{
		"/ready":                             "/ready",
		"/ready?full=1":                      "/ready?full=1",
		"/ready?token=s3cret":                "***",
		"ready?full=1&apikey=s3cret":         "***",
		"/ready?token=${NOMAD_META_TOKEN}":   "/ready?token=${NOMAD_META_TOKEN}",
		"/hooks/ghp_0123456789abcdefghijklm": "***",
	} {
		if got := Path(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
		definition, _ := json.Marshal(map[string]any{"Services": []any{map[string]any{"Checks": []any{
			map[string]any{"Path": path},
		}}}})
		shown, _ := json.Marshal(want)
		masked, _, err := JSON(definition)
		if got := string(masked); err != nil || got != `{"Services":[{"Checks":[{"Path":`+string(shown)+`}]}]}` {
			t.Errorf("%s: got %s, %v in a definition, want %s", path, got, err, want)
		}
	}
}

func TestURLs(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"nomad: http ok":                  "nomad: http ok",
		"dial tcp 10.0.0.1:80: token=abc": "dial tcp 10.0.0.1:80: token=abc", // not a URL
		`nomad: Get "http://10.0.0.1:80/ready?full=1": EOF`: `nomad: Get "http://10.0.0.1:80/ready?full=1": EOF`,

		`nomad: Get "http://10.0.0.1:80/ready?token=s3cret": EOF`:       `nomad: Get "http://10.0.0.1:80/***": EOF`,
		`nomad: Get "http://[::1]:80?a=b&token=s3 c\"ret's": EOF`:       `nomad: Get "http://[::1]:80/***": EOF`,
		`nomad: Get "https://app:s3cret@10.0.0.1/x": EOF`:               `nomad: Get "https://10.0.0.1/***": EOF`,
		`download "git::ssh://git@h/r?sshkey=s3cret": EOF`:              `download "git::ssh://h/***": EOF`,
		`download "git@h:r?sshkey=s3cret": EOF`:                         `download "***": EOF`,
		`downloading 'https://u:s3cret@h/f': EOF`:                       `downloading 'https://h/*** EOF`,
		`parse "/%zz?token=s3cret": invalid URL escape`:                 `parse "***": invalid URL escape`,
		`moved to http://a/?token=s3cret or https://b/ready?token=none`: `moved to http://a/*** or https://b/***`,
	} {
		if got := URLs(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
