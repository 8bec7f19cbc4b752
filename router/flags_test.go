package router

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// parseProbe parses a command line with the flags --lines/-n, --grep and --quiet/-q, and one argument.
func parseProbe(t *testing.T, line string) (args []string, lines string, err error) {
	t.Helper()
	w := newTestGateway()
	spec := Spec{
		Name: "probe", Args: "[ARG]", NumberFlag: "lines", Target: TargetScope,
		Flags: func(f *pflag.FlagSet) {
			f.StringVarP(&lines, "lines", "n", "100", "")
			f.String("grep", "", "")
			f.BoolP("quiet", "q", false, "")
		},
	}
	register(t, spec, func(_ context.Context, req *Request) error { args = req.Args; return nil })
	defer delete(commandTable, "probe")
	return args, lines, w.run(line)
}

func TestNumberFlag(t *testing.T) {
	for line, want := range map[string]struct {
		lines string
		args  []string
	}{
		"probe -5 web":        {"5", []string{"web"}},
		"probe web -20":       {"20", []string{"web"}},
		"probe -q -5 web":     {"5", []string{"web"}},
		"probe -n 3 web":      {"3", []string{"web"}},
		"probe --grep -5 web": {"100", []string{"web"}},
		"probe -n -5 web":     {"-5", []string{"web"}}, // the command refuses it
		"probe -- -5":         {"100", []string{"-5"}},
	} {
		if args, lines, err := parseProbe(t, line); err != nil || lines != want.lines || !slices.Equal(args, want.args) {
			t.Errorf("%s: got %q, %q, %v", line, lines, args, err)
		}
	}
	if _, _, err := parseProbe(t, "probe -5x web"); ExitCode(err) != 2 {
		t.Errorf("-5x: got %v, want it refused", err)
	}
}

func TestSpaceHint(t *testing.T) {
	for line, hint := range map[string]bool{
		"probe --grep a b web": true, "probe --grep=a b web": true, "probe web --grep a b": true, "probe -n 3 a web": true,
		"probe a b": false, "probe a b --grep x": false, "probe -q a b": false,
	} {
		_, _, err := parseProbe(t, line)
		if err == nil || !strings.Contains(err.Error(), "unexpected argument") ||
			strings.Contains(err.Error(), "has spaces, quote it twice") != hint {
			t.Errorf("%s: got %v, want the hint: %v", line, err, hint)
		}
	}
}
