// Package commands holds what a user can type, one command per file, each of which registers itself. A command
// gets what is the user's and shows it or acts on it; whether it may is decided before.
package commands
