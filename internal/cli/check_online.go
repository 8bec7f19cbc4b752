package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	"nomadctld/config"
	"nomadctld/internal/checkonline"
	"nomadctld/internal/render"
)

// checkOnline prints what works with the clusters of the configuration. On a terminal, it reports after a second that
// it waits.
func checkOnline(c *config.Config, asJSON bool) int {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		wait := time.AfterFunc(time.Second, func() {
			fmt.Fprintln(os.Stderr, "contacting the clusters and the Docker daemons (at most 10 seconds)...")
		})
		defer wait.Stop()
	}
	facts, err := checkonline.Run(context.Background(), c)
	if err != nil {
		return fail(1, "%s: %v", c.Path, err)
	}
	if asJSON {
		if err := render.JSON(os.Stdout, facts); err != nil {
			return fail(1, "%v", err)
		}
	} else {
		width, _, err := term.GetSize(int(os.Stdout.Fd()))
		if err != nil { // not a terminal
			width = 0
		}
		fmt.Print(checkonline.Table(facts, width))
	}
	if checkonline.Failed(facts) {
		return 1
	}
	return 0
}
