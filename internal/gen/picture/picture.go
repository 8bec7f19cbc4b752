// Command picture draws docs/demo.svg: the output of some commands on a terminal. It runs them in the demo, through a
// real OpenSSH client. make picture runs it.
package main

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/creack/pty"
	"github.com/mattn/go-runewidth"

	"nomadctld/internal/demo"
)

// shown are the command lines of the picture.
var shown = []string{
	"ps team1-web", "restart --batch 50% p-team1-web", "scale p-team1-web/web 3", "history p-team1-web",
	"can-i stop p-team2-shop",
}

const columns, lineHeight, charWidth, margin = 100, 18, 8.4, 14

func main() {
	if err := draw("docs/demo.svg"); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func draw(file string) error {
	dir, err := os.MkdirTemp("", "picture-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d, err := demo.Start(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	var lines []string
	for _, command := range shown {
		out, err := onTerminal(exec.Command("ssh", "-tt", "-o", "LogLevel=QUIET", "-F", dir+"/ssh_config", "ann", command))
		if err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		lines = append(lines, "\x1b[1m$ ssh -t gw "+command+"\x1b[0m")
		lines = append(append(lines, screen(out)...), "")
	}
	return os.WriteFile(file, svg(lines[:len(lines)-1]), 0o644)
}

// onTerminal returns the output of a command on a terminal. It ignores the exit code: can-i exits with 1 for no.
func onTerminal(cmd *exec.Cmd) (string, error) {
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: columns, Rows: 40})
	if err != nil {
		return "", err
	}
	defer terminal.Close()
	var out bytes.Buffer
	io.Copy(&out, terminal) // returns an error when the terminal is closed
	cmd.Wait()
	return out.String(), nil
}

// screen returns the lines that remain on the screen. Of a line that was overwritten, it returns the last version.
func screen(out string) (lines []string) {
	for line := range strings.SplitSeq(strings.TrimRight(strings.ReplaceAll(out, "\r\n", "\n"), "\n"), "\n") {
		line = line[strings.LastIndexByte(line, '\r')+1:]
		lines = append(lines, strings.ReplaceAll(line, "\x1b[K", ""))
	}
	return lines
}

var sequence = regexp.MustCompile("\x1b\\[([0-9]+)m")

// colors maps the colors of commands' output, and bold, to SVG attributes.
var colors = map[string]string{
	"1": `font-weight="bold"`, "31": `fill="#e06c75"`, "32": `fill="#98c379"`, "33": `fill="#e5c07b"`,
	"34": `fill="#61afef"`, "35": `fill="#c678dd"`, "36": `fill="#56b6c2"`,
}

// svg returns the picture of lines, in which colors are escape sequences.
func svg(lines []string) []byte {
	var b bytes.Buffer
	widest := 0.0
	for _, line := range lines {
		widest = max(widest, width(line))
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" `+
		`font-family="monospace" font-size="14">`+"\n", widest+2*margin, len(lines)*lineHeight+2*margin)
	b.WriteString(`<rect width="100%" height="100%" rx="8" fill="#1e2127"/>` + "\n")
	for i, line := range lines {
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#d7dae0" xml:space="preserve" textLength="%.0f">`,
			margin, margin+(i+1)*lineHeight-5, width(line))
		open := false
		for at := 0; ; {
			next := sequence.FindStringSubmatchIndex(line[at:])
			if next == nil {
				b.WriteString(html.EscapeString(line[at:]))
				break
			}
			b.WriteString(html.EscapeString(line[at : at+next[0]]))
			if open {
				b.WriteString("</tspan>")
			}
			attribute := colors[line[at+next[2]:at+next[3]]]
			if open = attribute != ""; open {
				b.WriteString("<tspan " + attribute + ">")
			}
			at += next[1]
		}
		if open {
			b.WriteString("</tspan>")
		}
		b.WriteString("</text>\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// width returns the width of a line in the picture.
func width(line string) float64 {
	return float64(runewidth.StringWidth(sequence.ReplaceAllString(line, ""))) * charWidth
}
