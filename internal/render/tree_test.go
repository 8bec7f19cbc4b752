package render

import (
	"bytes"
	"strings"
	"testing"
)

func TestTree_TerminalWidth(t *testing.T) {
	root := &Tree{Text: "."}
	root.Add("a\x1b").Add(strings.Repeat("日", 100))
	root.Add("b")
	var got bytes.Buffer
	root.Write(&got, Style{Width: 20})
	want := ".\n├── a\\x1b\n│   └── 日日日日日…\n└── b\n"
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}
