package cli

import (
	"fmt"
	"runtime/debug"
)

// stamp is the output of git describe, which the Makefile sets at build time.
var stamp string

func printVersion() int {
	fmt.Println("nomadctld", version())
	return 0
}

// version returns the stamp, the module's version, or the commit, with "dirty" if files were changed after it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	switch {
	case stamp != "":
		return stamp
	case !ok:
		return "unknown"
	case info.Main.Version != "(devel)":
		return info.Main.Version // go build derives it from the last tag and the commit, with +dirty
	}
	var revision, dirty string
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			revision = " " + setting.Value[:min(12, len(setting.Value))]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			dirty = " dirty"
		}
	}
	return "devel" + revision + dirty
}
