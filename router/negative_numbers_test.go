package router

import (
	"context"
	"slices"
	"testing"

	"github.com/spf13/pflag"
)

func TestNegativeNumbers_AreArguments(t *testing.T) {
	for line, want := range map[string][]string{
		"probe web -1":            {"web", "-1"},
		"probe -12 web":           {"-12", "web"},
		"probe web -- -1":         {"web", "-1"},
		"probe -n -3 web -1":      {"web", "-1"},
		"probe --number -3 web":   {"web"},
		"probe --number=-3 -1":    {"-1"},
		"probe -q -1 web":         {"-1", "web"},
		"probe -qn -3 web":        {"web"},
		"probe web -- -1 --quiet": {"web", "-1", "--quiet"},
	} {
		t.Run(line, func(t *testing.T) {
			w := newTestGateway()
			var got []string
			spec := Spec{
				Name: "probe", Args: "[ARG...]", NegativeNumbers: true, Target: TargetScope,
				Flags: func(f *pflag.FlagSet) {
					f.IntP("number", "n", 0, "")
					f.BoolP("quiet", "q", false, "")
				},
			}
			register(t, spec, func(_ context.Context, req *Request) error { got = req.Args; return nil })
			if err := w.run(line); err != nil || !slices.Equal(got, want) {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

func TestNegativeNumbers_OtherFlagsStrict(t *testing.T) {
	for line, signed := range map[string]bool{"probe web -1": false, "probe web -1x": true, "probe web -x": true} {
		w := newTestGateway()
		func() {
			register(t, Spec{Name: "probe", Args: "[ARG...]", NegativeNumbers: signed, Target: TargetScope},
				func(context.Context, *Request) error { return nil })
			defer delete(commandTable, "probe")
			if err := w.run(line); ExitCode(err) != 2 {
				t.Errorf("%s: got %v, want it refused", line, err)
			}
		}()
	}
}
