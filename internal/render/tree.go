package render

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Tree is a node with its branches. Text is foreign text as it came.
type Tree struct {
	Text     string
	Branches []*Tree
}

// Add adds a branch and returns it.
func (t *Tree) Add(text string) *Tree {
	branch := &Tree{Text: text}
	t.Branches = append(t.Branches, branch)
	return branch
}

// Write writes the tree in one write, a line for each node, none longer than the terminal is wide.
func (t *Tree) Write(w io.Writer, look Style) error {
	var b strings.Builder
	line := func(text string) {
		if look.Width > 0 {
			text = runewidth.Truncate(text, look.Width, "…")
		}
		b.WriteString(text + "\n")
	}
	line(escape.Text(t.Text))
	t.writeBranches("", line)
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Tree) writeBranches(indent string, line func(string)) {
	for i, branch := range t.Branches {
		fork, below := "├── ", "│   "
		if i == len(t.Branches)-1 {
			fork, below = "└── ", "    "
		}
		line(indent + fork + escape.Text(branch.Text))
		branch.writeBranches(indent+below, line)
	}
}
