// Package signals has the signals that a client may send, and those of them that interrupt a command.
package signals

import (
	"slices"
	"strings"
)

// fromClient are the signals of RFC 4254 and those of Linux that a program may want.
var fromClient = strings.Fields(`ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2
	BUS CHLD CONT IO PROF PWR STOP SYS TRAP TSTP TTIN TTOU URG VTALRM WINCH XCPU XFSZ`)

// FromClient reports whether a client may send a signal to a program. name is its SSH name, such as TERM.
func FromClient(name string) bool { return slices.Contains(fromClient, name) }

// interrupts are the signals that interrupt a command, with their numbers.
var interrupts = map[string]int{"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "TERM": 15}

// Interrupt returns the number of a signal that interrupts a command, by its SSH name. It returns 0 for the others.
func Interrupt(name string) int { return interrupts[name] }
