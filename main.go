// Command nomadctld is an SSH gateway to Nomad. With plain ssh, a team lists its own jobs, reads their logs, opens
// shells in them, and stops or restarts them.
package main

import (
	"os"

	"nomadctld/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
