package sim

import (
	"cmp"
	"time"
)

// Template is a file that a client writes for a task. Source is a path beside which Text stays empty.
type Template struct {
	Text, Source, Destination string
	ChangeMode                string // "restart" when empty; also "noop", "signal", "script"
	Env                       bool   // its lines are environment variables
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
