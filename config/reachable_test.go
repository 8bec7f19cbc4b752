package config

import (
	"strings"
	"testing"
)

func TestLoad_AliasTarget(t *testing.T) {
	commands := []string{"ps", "logs"}
	const loop = "is an alias, not a command: an alias is expanded only once; write the command that it stands for\n"
	for aliases, want := range map[string]string{
		`x = "ps --all"`: "",
		`x = "y"` + "\n" + `y = "x"`: `nomadctld.toml:22:5: warning: alias.x starts with "y", which ` + loop +
			`nomadctld.toml:23:5: warning: alias.y starts with "x", which ` + loop,
		`x = "x -a"`: `nomadctld.toml:22:5: warning: alias.x starts with "x", which ` + loop,
		`x = "'pss' -a"`: `nomadctld.toml:22:5: warning: alias.x starts with "pss", which is not a command; ` +
			"did you mean \"ps\"?\n",
	} {
		writeAccessFiles(t, accessConfig+"[alias]\n"+aliases+"\n")
		cfg, diagnostics := load("nomadctld.toml", commands, ordinaryUser())
		if got := diagnosticLines(diagnostics); got != want || cfg == nil {
			t.Errorf("%s: got\n%s\nwant\n%s", aliases, got, want)
		}
	}
}

func TestLoad_GroupPrefix(t *testing.T) {
	for prefix, warns := range map[string]bool{
		`"p-"`: false, `"p-team1-"`: false, `""`: false, `"p"`: false, `"x-team1-"`: true, `"P-"`: true, `"raw"`: false,
	} {
		const group = "[prefix.all]\nprefix = [\"p-\""
		text := strings.Replace(accessConfig, group, group+", "+prefix, 1)
		if text == accessConfig {
			t.Fatal("the group was not found")
		}
		writeAccessFiles(t, text)
		cfg, diagnostics := load("nomadctld.toml", nil, ordinaryUser())
		got := diagnosticLines(diagnostics)
		want := `item 2 of prefix.all.prefix (` + prefix + `) matches the prefix of no tier, so it grants nothing; ` +
			"start it with a prefix of a tier: p-\n"
		if strings.HasSuffix(got, want) != warns || cfg == nil {
			t.Errorf("%s: got\n%s\nwant a warning: %t", prefix, got, warns)
		}
	}
}
