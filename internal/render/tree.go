package render

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Tree is a node with its branches. Text is untrusted and unescaped.
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

// Write writes the tree in a single write, one line for each node, cut at the width of the terminal.
func (t *Tree) Write(w io.Writer, style Style) error {
	var b strings.Builder
	line := func(text string) {
		if style.Width > 0 {
			text = runewidth.Truncate(text, style.Width, "…")
		}
		b.WriteString(text + "\n")
	}
	line(escape.Text(t.Text))
	t.writeBranches("", line)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeBranches passes each branch to line, with the given indent.
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
