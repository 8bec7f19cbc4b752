// Package loginname defines which names users may log in with. The configuration and the certificates of users share
// the rule.
package loginname

import "regexp"

// pattern matches valid login names. Users type them after ssh -l, and they are part of the names of recordings.
var pattern = regexp.MustCompile(`^[\p{L}\p{N}_][\p{L}\p{N}._+-]{0,63}$`)

// Valid reports whether a name is a valid login name.
func Valid(name string) bool { return pattern.MatchString(name) }
