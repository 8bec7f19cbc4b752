package mask

import "regexp"

// Path returns the path of a service check, masked as JSON masks it in a definition.
func Path(path string) string { return field{name: "Path"}.mask(path) }

var (
	// urlPattern matches a quoted text, as in errors of Go's HTTP client and of Nomad's artifacts, and any other URL.
	urlPattern  = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[A-Za-z][A-Za-z0-9+.-]*://[^\s"]+`)
	hostPattern = regexp.MustCompile(`^("?[A-Za-z][A-Za-z0-9+.:-]*://)(?:[^\s"/?#@]*@)?([^\s"/?#@]*)`)
)

// URLs hides the URLs and the quoted texts in a text that look like secrets, except for the host of a URL.
func URLs(text string) string {
	return urlPattern.ReplaceAllStringFunc(text, func(url string) string {
		if !exposes(url) {
			return url
		}
		quote := ""
		if url[0] == '"' {
			quote = `"`
		}
		if parts := hostPattern.FindStringSubmatch(url); parts != nil {
			return parts[1] + parts[2] + "/" + Hidden + quote
		}
		return quote + Hidden + quote
	})
}
