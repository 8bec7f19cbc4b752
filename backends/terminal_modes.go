package backends

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// TerminalModes are the modes of a user's terminal, such as the erase character, as SSH encodes them (RFC 4254, section
// 8, and RFC 8160): opcode to value. nil: not known.
type TerminalModes map[byte]uint32

// Opcodes that this project uses by name.
const (
	ModeIntr    = 1 // VINTR
	ModeQuit    = 2
	ModeErase   = 3
	ModeKill    = 4
	ModeEOF     = 5
	ModeWerase  = 13
	ModeLnext   = 14
	ModeReprint = 12
	ModeIUTF8   = 42
	ModeEcho    = 53
)

// charModes maps the opcodes of control characters to the names of Linux's stty, flagModes those of flags. Both
// omit modes that Linux does not have or that some implementations of stty do not know (discard, pendin, the speeds).
var (
	charModes = map[byte]string{
		1: "intr", 2: "quit", 3: "erase", 4: "kill", 5: "eof", 6: "eol", 7: "eol2", 8: "start", 9: "stop", 10: "susp",
		12: "rprnt", 13: "werase", 14: "lnext", 16: "swtch",
	}
	flagModes = map[byte]string{
		30: "ignpar", 31: "parmrk", 32: "inpck", 33: "istrip", 34: "inlcr", 35: "igncr", 36: "icrnl", 37: "iuclc",
		38: "ixon", 39: "ixany", 40: "ixoff", 41: "imaxbel", 42: "iutf8",
		50: "isig", 51: "icanon", 52: "xcase", 53: "echo", 54: "echoe", 55: "echok", 56: "echonl", 57: "noflsh", 58: "tostop",
		59: "iexten", 60: "echoctl", 61: "echoke",
		70: "opost", 71: "olcuc", 72: "onlcr", 73: "ocrnl", 74: "onocr", 75: "onlret",
		90: "cs7", 91: "cs8", 92: "parenb", 93: "parodd",
	}
)

const (
	opcodeEnd    = 0
	maxOpcode    = 159 // opcodes above it have no uint32 value: parsing stops there
	charDisabled = 255 // value of a disabled control character
	maxModes     = 160 // entries
	modeSize     = 1 + 4
)

// ParseTerminalModes parses the modes of a pty-req. It keeps modes that it does not know, which Stty ignores. It
// rejects truncated or too long input.
func ParseTerminalModes(encoded string) (TerminalModes, error) {
	modes := TerminalModes{}
	for entries := 0; len(encoded) > 0; entries++ {
		opcode := encoded[0]
		switch {
		case opcode == opcodeEnd || opcode > maxOpcode:
			return modes, nil
		case len(encoded) < modeSize:
			return nil, fmt.Errorf("terminal mode %d is truncated", opcode)
		case entries == maxModes:
			return nil, fmt.Errorf("more than %d terminal modes", maxModes)
		}
		modes[opcode] = binary.BigEndian.Uint32([]byte(encoded[1:modeSize]))
		encoded = encoded[modeSize:]
	}
	return modes, nil
}

// Char returns the control character with this opcode, 0 if it is disabled. ok is false if the modes do not contain it.
func (m TerminalModes) Char(opcode byte) (char byte, ok bool) {
	value, ok := m[opcode]
	if value >= charDisabled {
		value = 0
	}
	return byte(value), ok
}

// IsOff reports whether the modes contain this flag with the value off.
func (m TerminalModes) IsOff(opcode byte) bool {
	value, ok := m[opcode]
	return ok && value == 0
}

// Stty returns arguments for stty that set the modes: control characters as pairs of name and value, and flags. They
// contain only letters, digits, spaces, - and ^, so that a shell can split them.
func (m TerminalModes) Stty() (chars, flags string) {
	var pairs, words []string
	for opcode := range byte(maxOpcode + 1) {
		value, ok := m[opcode]
		if !ok {
			continue
		}
		if name := charModes[opcode]; name != "" {
			pairs = append(pairs, name, sttyChar(value))
		}
		if name := flagModes[opcode]; name != "" {
			if value == 0 {
				// cs7 and cs8 are sizes: setting one unsets the other.
				if name == "cs7" || name == "cs8" {
					continue
				}
				name = "-" + name
			}
			words = append(words, name)
		}
	}
	return strings.Join(pairs, " "), strings.Join(words, " ")
}

// sttyChar returns a control character in a form that every stty accepts. stty would read the number 3 as the
// character '3'.
func sttyChar(value uint32) string {
	switch {
	case value == 0 || value >= charDisabled:
		return "undef"
	case value < 10:
		return "^" + string(rune('@'+value))
	}
	return strconv.Itoa(int(value))
}
