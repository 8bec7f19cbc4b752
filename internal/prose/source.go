package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// kind is a kind of file with text for people.
type kind struct {
	names   []string // suffixes of file names
	read    func(source string) ([]text, error)
	columns bool // lines have at most maxColumns columns
}

var kinds = []kind{
	{[]string{"_test.go"}, readGoTest, true},
	{[]string{".go"}, readGo, true},
	{[]string{".md"}, readMarkdown, false},
	{[]string{".1", ".8"}, readManual, false},
	{[]string{".sh", ".toml", ".hcl", ".service", "Makefile", "Dockerfile", "nomadctl", ".ci/run"}, readScript, true},
	{[]string{".txtar"}, readScriptComments, false},
}

// kindOf returns the kind of a file, or nil.
func kindOf(file string) *kind {
	for i, k := range kinds {
		if slices.ContainsFunc(k.names, func(name string) bool { return strings.HasSuffix(file, name) }) {
			return &kinds[i]
		}
	}
	return nil
}

// text is a comment, a message, a name or a whole document. A phrase in it may extend over several lines.
type text struct {
	body  string
	lines []lineStart
}

// lineStart is the offset in the body of a text at which a line of the file starts.
type lineStart struct{ offset, line int }

// add appends lines of the file to the text. The number is that of the first line.
func (t *text) add(body string, number int) {
	for line := range strings.Lines(body) {
		t.lines = append(t.lines, lineStart{len(t.body), number})
		t.body += line
		number++
	}
}

// line returns the line of the file for an offset in the body.
func (t text) line(offset int) (number int) {
	for _, l := range t.lines {
		if l.offset <= offset {
			number = l.line
		}
	}
	return number
}

func readGo(source string) ([]text, error) { return parseGo(source, true) }

// readGoTest leaves out the strings of tests, which are often messages of other programs.
func readGoTest(source string) ([]text, error) { return parseGo(source, false) }

// parseGo returns the comments, the declared names and, if literals is set, the strings of a Go file.
func parseGo(source string, literals bool) (texts []text, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	addText := func(body string, pos token.Pos) {
		var t text
		t.add(body, files.Position(pos).Line)
		texts = append(texts, t)
	}
	for _, group := range file.Comments {
		var t text
		for _, c := range group.List {
			body := strings.TrimSuffix(strings.TrimLeft(c.Text, "/*"), "*/")
			t.add(strings.TrimPrefix(body, " ")+"\n", files.Position(c.Pos()).Line)
		}
		texts = append(texts, t)
	}
	tags := map[*ast.BasicLit]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.FuncDecl:
			addText(words(n.Name.Name), n.Name.Pos())
		case *ast.TypeSpec:
			addText(words(n.Name.Name), n.Name.Pos())
		case *ast.ValueSpec:
			for _, name := range n.Names {
				addText(words(name.Name), name.Pos())
			}
		case *ast.Field:
			for _, name := range n.Names {
				addText(words(name.Name), name.Pos())
			}
			if n.Tag != nil { // only the description: the other values are names for programs
				tags[n.Tag] = true
				tag, _ := strconv.Unquote(n.Tag.Value)
				addText(reflect.StructTag(tag).Get("doc"), n.Tag.Pos())
			}
		case *ast.BinaryExpr, *ast.BasicLit:
			if tag, ok := n.(*ast.BasicLit); ok && tags[tag] {
				return false
			}
			var t text
			if literals && t.addLiteral(files, n.(ast.Expr)) {
				texts = append(texts, t)
				return false
			}
		}
		return true
	})
	return texts, nil
}

// addLiteral appends a string literal, or several that are joined with +.
func (t *text) addLiteral(files *token.FileSet, e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return e.Op == token.ADD && t.addLiteral(files, e.X) && t.addLiteral(files, e.Y)
	case *ast.BasicLit:
		body, err := strconv.Unquote(e.Value)
		if e.Kind != token.STRING || err != nil {
			return false
		}
		line := files.Position(e.Pos()).Line
		if e.Value[0] == '`' {
			t.add(body, line)
		} else {
			t.lines = append(t.lines, lineStart{len(t.body), line})
			t.body += body
		}
		return true
	}
	return false
}

// words returns the words of a Go name: "test exec closed output" for TestExec_ClosedOutput.
func words(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) || r == '_' {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Join(strings.FieldsFunc(b.String(), func(r rune) bool { return r == ' ' || r == '_' }), " ")
}

// inlineCode matches code in a Markdown document. It is not checked here, because its source file is.
var inlineCode = regexp.MustCompile("`[^`\n]+`")

func readMarkdown(source string) ([]text, error) {
	var t text
	t.add(inlineCode.ReplaceAllString(source, "`CODE`"), 1)
	return []text{t}, nil
}

// request is a request or an escape of a manual page.
var request = regexp.MustCompile(`(?m)^\.(\\"|[A-Z]+) ?|\\f.|\\&`)

func readManual(source string) ([]text, error) {
	var t text
	t.add(strings.ReplaceAll(request.ReplaceAllString(source, ""), `\-`, "-"), 1)
	return []text{t}, nil
}

// readScript reads a file with # comments as a whole, so that its messages are checked too.
func readScript(source string) ([]text, error) {
	var t text
	n := 0
	for line := range strings.Lines(source) {
		n++
		t.add(hash.ReplaceAllString(line, ""), n)
	}
	return []text{t}, nil
}

var hash = regexp.MustCompile(`^\s*#+ ?`)

// readScriptComments reads the comments of a test script, before the files that it contains.
func readScriptComments(source string) (texts []text, err error) {
	var t text
	n := 0
	for line := range strings.Lines(source) {
		n++
		switch {
		case strings.HasPrefix(line, "-- "):
			return append(texts, t), nil
		case strings.HasPrefix(line, "#"):
			t.add(hash.ReplaceAllString(line, ""), n)
		case t.body != "":
			texts, t = append(texts, t), text{}
		}
	}
	return append(texts, t), nil
}
