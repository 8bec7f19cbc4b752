// Package commands implements the commands that users run over SSH. Each command registers itself with the
// router. The router parses the command line, resolves the target and checks the user's rights before it calls a
// command, so commands must reach clusters only through their router.Request.
package commands
