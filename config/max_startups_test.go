package config

import (
	"strings"
	"testing"
)

func TestLoad_MaxStartups(t *testing.T) {
	const hint = `; write maxstartups = "10:30:100"` + "\n"
	for line, want := range map[string]struct {
		value   string // empty: the configuration is refused
		problem string
	}{
		``:                              {"10:30:100", ""},
		`maxstartups = "5:50:60"`:       {"5:50:60", ""},
		`maxstartups = "1:1:1"`:         {"1:1:1", ""},
		`maxstartups = "7:100:7"`:       {"7:100:7", ""},
		`maxstartups = "50"`:            {"50:100:50", ""},
		`maxstartups = 50`:              {"50:100:50", ""},
		`maxstartups = true`:            {"", "22:15: limits.maxstartups is a boolean (true or false), not a string" + hint},
		`maxstartups = ["10:30:100"]`:   {"", "22:15: limits.maxstartups is a list, not a string" + hint},
		`maxstartups = ""`:              {"", "start is not a number from 1 to 1073741824: \"\"" + hint},
		`maxstartups = "many"`:          {"", "start is not a number from 1 to 1073741824: \"many\"" + hint},
		`maxstartups = "10:30"`:         {"", "22:15: limits.maxstartups is not start:rate:full: \"10:30\"" + hint},
		`maxstartups = "10:30:100:200"`: {"", "is not start:rate:full: \"10:30:100:200\"" + hint},
		`maxstartups = "10:30:"`:        {"", "is not start:rate:full, because full is not a number from 1 to 107"},
		`maxstartups = "0:30:100"`:      {"", "because start is not a number from 1 to 1073741824: \"0:30:100\"" + hint},
		`maxstartups = "10:0:100"`:      {"", "because rate is not a number from 1 to 100: \"10:0:100\"" + hint},
		`maxstartups = "10:101:100"`:    {"", "because rate is not a number from 1 to 100: "},
		`maxstartups = "10:30%:100"`:    {"", "because rate is not a number from 1 to 100: "},
		`maxstartups = "-1:30:100"`:     {"", "because start is not a number from 1 to "},
		`maxstartups = "+1:30:100"`:     {"", "because start is not a number from 1 to "},
		`maxstartups = "1: 30:100"`:     {"", "because rate is not a number from 1 to "},
		`maxstartups = "10:30:99999999999999999999"`: {
			"", "because full is not a number from 1 to 1073741824: ",
		},
		`maxstartups = "100:30:10"`: {"", "22:15: limits.maxstartups has a start above full: \"100:30:10\"" + hint},
		`maxstartups = 0`:           {"", "is not between 1 and 1073741824: 0; write a number such as maxstartups = 100\n"},
	} {
		writeAccessFiles(t, accessConfig+"[limits]\n"+line+"\n")
		cfg, diagnostics := load("nomadctld.toml", nil, ordinaryUser())
		value := ""
		if cfg != nil {
			value = cfg.Limits.MaxStartups.String()
		}
		got := diagnosticLines(diagnostics)
		if value != want.value || !strings.Contains(got, want.problem) || (got == "") != (want.problem == "") {
			t.Errorf("%s: got %q\n%s\nwant %q\n%s", line, value, got, want.value, want.problem)
		}
	}
}
