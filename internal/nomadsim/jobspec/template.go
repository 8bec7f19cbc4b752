package jobspec

import (
	"cmp"
	"time"
)

// Template is a template block. If Source is set, Text must be empty.
type Template struct {
	Text, Source, Destination string
	ChangeMode                string // "restart" (default), "noop", "signal" or "script"
	Env                       bool   // the lines are environment variables
}

func templates(all []Template) (rows []object) {
	for _, t := range all {
		rows = append(rows, object{
			"EmbeddedTmpl": t.Text, "SourcePath": t.Source, "DestPath": t.Destination, "Envvars": t.Env,
			"ChangeMode": cmp.Or(t.ChangeMode, "restart"), "ChangeScript": nil, "ChangeSignal": "", "ErrMissingKey": false,
			"LeftDelim": "{{", "RightDelim": "}}", "Once": false, "Perms": "0644", "Uid": nil, "Gid": nil,
			"Splay": 5 * time.Second, "VaultGrace": 0, "Wait": nil,
		})
	}
	return rows
}
