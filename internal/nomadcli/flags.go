package nomadcli

// The flags that every command of Nomad takes and that may be used; the name's ending is as in rule.flags.
const commonFlags = "namespace= no-color force-color h help"

// refusedAnywhere are the flags that are refused wherever they stand, even as the value of another flag: they lead the gateway's
// token elsewhere, replace it, or write into a home directory.
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
	"autocomplete-install":   "it writes into the home directory of the gateway",
	"autocomplete-uninstall": "it writes into the home directory of the gateway",
}

const (
	reasonConnection = "how the cluster is reached is the gateway's configuration"
	reasonToken      = "the gateway has the token, and a command line is recorded"
)

// refusedFlags are refused where they are flags, with a reason that says more than that they are unknown.
var refusedFlags = map[string]string{
	"ui":             "it opens a browser on the gateway",
	"var-file":       "it reads a file of the gateway's machine",
	"var":            "jobs are taken as JSON only, which has no variables",
	"hcl1":           "jobs are taken as JSON only",
	"hcl2-strict":    "jobs are taken as JSON only",
	"secret":         "a secret does not belong on a command line that is recorded",
	"update-servers": "the node would be sent to other servers",
	"template-file":  "it reads a file of the gateway's machine",
	"output-file":    "it writes a file on the gateway's machine",
	"version":        "it is answered only alone",
	"v":              "it is answered only alone",
}
