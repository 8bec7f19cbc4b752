package commands

import (
	"errors"
	"strings"
	"testing"

	"nomadctld/router"
)

func TestWatchFlag_Interval(t *testing.T) {
	for line, want := range map[string]float64{
		"--watch": 2, "-w": 2, "--watch 5": 5, "-w 5 web": 5, "--watch=0.5": 0.5, "--watch 1s": 1, "-w 1m30s web": 90,
		"--watch=1h": 3600, "web": 0, "--watch web": 2, "-w h2": 2,
	} {
		p := new(ps)
		args, err := p.Spec().Parse(new(router.Request), strings.Fields(line))
		if err != nil || p.seconds != want {
			t.Errorf("%s: got %v seconds, %v, want %v", line, p.seconds, err, want)
		}
		if filter := strings.HasSuffix(line, "web") || strings.HasSuffix(line, "h2"); filter != (len(args) == 1) {
			t.Errorf("%s: got the arguments %q", line, args)
		}
	}
	for _, line := range []string{"--watch=1x", "--watch=often", "--watch 5.5.5", "--watch=-1"} {
		p := new(ps)
		_, err := p.Spec().Parse(new(router.Request), strings.Fields(line))
		if err == nil || !strings.Contains(err.Error(), "--watch takes 1 to 3600 seconds (write 5, 5s or 1m)") {
			t.Errorf("%s: got %v", line, err)
		}
	}
}

func TestWatchFlag_Limits(t *testing.T) {
	for _, line := range []string{"--watch 0", "--watch 0s", "--watch 500ms", "--watch 3601", "--watch 2h"} {
		p := new(ps)
		req := new(router.Request)
		if _, err := p.Spec().Parse(req, strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		req.Command = p
		if err := p.Run(t.Context(), req); !errors.Is(err, errWatchInterval) || router.ExitCode(err) != 2 {
			t.Errorf("%s: got %v with exit code %d, want 2", line, err, router.ExitCode(err))
		}
	}
}
