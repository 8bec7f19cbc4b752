package commands

import "github.com/spf13/pflag"

// acceptJSON accepts --json for commands that always print JSON. Help does not show it.
func acceptJSON(f *pflag.FlagSet) {
	f.Bool("json", true, "always on")
	f.MarkHidden("json")
}
