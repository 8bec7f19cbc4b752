package backends

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// TerminalModes are the modes of a user's terminal, such as which character erases and whether input is UTF-8, as SSH
// encodes them (RFC 4254, section 8, and RFC 8160): opcode to value. nil: none are known.
type TerminalModes map[byte]uint32

// Opcodes that something here asks for by name.
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

// charModes are the opcodes of control characters, flagModes those of switches, with the names that stty has for them on
// Linux. Those of modes that Linux has not, or that not every stty knows (discard, pendin, the speeds), are left out.
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
	maxOpcode    = 159 // of those with a uint32; at what is above parsing stops
	charDisabled = 255 // for a control character: there is none
	maxModes     = 160 // entries; more cannot mean anything
	modeSize     = 1 + 4
)

// ParseTerminalModes reads the modes of a pty-req. Unknown ones are skipped; what is cut short, or too long, is an error.
func ParseTerminalModes(encoded string) (TerminalModes, error) {
	modes := TerminalModes{}
	for entries := 0; len(encoded) > 0; entries++ {
		opcode := encoded[0]
		switch {
		case opcode == opcodeEnd || opcode > maxOpcode:
			return modes, nil
		case len(encoded) < modeSize:
			return nil, fmt.Errorf("terminal mode %d is cut short", opcode)
		case entries == maxModes:
			return nil, fmt.Errorf("more than %d terminal modes", maxModes)
		}
		modes[opcode] = binary.BigEndian.Uint32([]byte(encoded[1:modeSize]))
		encoded = encoded[modeSize:]
	}
	return modes, nil
}

// Char returns the control character with this opcode; ok is false if the modes do not say, and none is 0.
func (m TerminalModes) Char(opcode byte) (char byte, ok bool) {
	value, ok := m[opcode]
	if value >= charDisabled {
		value = 0
	}
	return byte(value), ok
}

// IsOff reports whether the modes say that this switch is off.
func (m TerminalModes) IsOff(opcode byte) bool {
	value, ok := m[opcode]
	return ok && value == 0
}

// Stty returns the words with which stty sets the modes: control characters in pairs of a name and a value, and switches. In
// each are only letters, digits, spaces, - and ^, so that a shell can take the words apart.
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
				// cs7 and cs8 are sizes: one is set by the other.
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

// sttyChar is a control character as every stty reads it. A number of one digit would be the digit.
func sttyChar(value uint32) string {
	switch {
	case value == 0 || value >= charDisabled:
		return "undef"
	case value < 10:
		return "^" + string(rune('@'+value))
	}
	return strconv.Itoa(int(value))
}
