package nomadcli

// commonFlags are the permitted flags that every Nomad command accepts, in the syntax of rule.flags.
const commonFlags = "namespace= no-color force-color h help"

// refusedAnywhere are the flags that are refused anywhere before "--", even as the value of another flag. They send the
// gateway's token elsewhere, replace it, or write to a home directory.
var refusedAnywhere = map[string]string{
	"address":                reasonConnection,
	"region":                 "the gateway's token would be sent to another region",
	"ca-cert":                reasonConnection,
	"ca-path":                reasonConnection,
	"client-cert":            reasonConnection,
	"client-key":             reasonConnection,
	"tls-server-name":        reasonConnection,
	"tls-skip-verify":        reasonConnection,
	"insecure":               reasonConnection,
	"token":                  reasonToken,
	"token-file":             reasonToken,
	"consul-token":           reasonToken,
	"consul-token-file":      reasonToken,
	"vault-token":            reasonToken,
	"login-token":            reasonToken,
	"autocomplete-install":   "it writes to the gateway's home directory",
	"autocomplete-uninstall": "it writes to the gateway's home directory",
}

const (
	reasonConnection = "the gateway's configuration sets the connection to the cluster"
	reasonToken      = "the gateway supplies the token, and command lines are recorded"
)

// refusedFlags are the flags that are refused with a specific reason, when used as flags.
var refusedFlags = map[string]string{
	"ui":             "it opens a browser on the gateway",
	"var-file":       "it reads a file on the gateway's machine",
	"var":            "only JSON jobs are accepted, and JSON has no variables",
	"hcl1":           "only JSON jobs are accepted",
	"hcl2-strict":    "only JSON jobs are accepted",
	"secret":         "command lines are recorded, so they must not contain a secret",
	"update-servers": "it connects the node to other servers",
	"template-file":  "it reads a file on the gateway's machine",
	"output-file":    "it writes a file on the gateway's machine",
	"version":        "it is accepted only without other arguments",
	"v":              "it is accepted only without other arguments",
}
