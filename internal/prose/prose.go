// Command prose reports phrases that are not plain English in the project's documents, help, messages, comments and
// names, and lines that are too long. It owns the list of these phrases, phrases.txt. It changes no file.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	_ "nomadctld/commands"
	"nomadctld/router"
)

const maxColumns = 120

// main prints the findings in the whole project, or only those in the files and folders that are given.
func main() {
	found, err := checkProject(os.DirFS("."))
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(2)
	}
	status := 0
	for _, f := range found {
		if len(os.Args) == 1 || slices.ContainsFunc(os.Args[1:], f.isBelow) {
			fmt.Println(f)
			status = 1
		}
	}
	os.Exit(status)
}

// finding is a phrase to replace, or a line to break.
type finding struct {
	file    string
	line    int
	phrase  string
	instead string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %q: %s", f.file, f.line, f.phrase, f.instead)
}

// isBelow reports whether the finding is in a file or folder.
func (f finding) isBelow(name string) bool {
	name = strings.TrimSuffix(name, "/")
	return f.file == name || strings.HasPrefix(f.file, name+"/")
}

// checkProject returns the findings in all files and in the help of the registered commands.
func checkProject(files fs.FS) (found []finding, err error) {
	list, err := phrases()
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(files, ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (file == ".git" || file == "dist"):
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		source, err := fs.ReadFile(files, file)
		if err != nil {
			return err
		}
		more, err := checkFile(file, string(source), list)
		found = append(found, more...)
		return err
	})
	for _, spec := range router.Specs() {
		found = append(found, checkHelp(spec, list)...)
	}
	return found, err
}

// checkFile returns the findings in a file.
func checkFile(file, source string, list []phrase) (found []finding, err error) {
	kind := kindOf(file)
	if kind == nil {
		return nil, nil
	}
	texts, err := kind.read(source)
	for _, t := range texts {
		found = append(found, t.check(file, list)...)
	}
	if kind.columns {
		found = append(found, checkColumns(file, source)...)
	}
	return found, err
}

// checkHelp returns the findings in the help of a command.
func checkHelp(s router.Spec, list []phrase) (found []finding) {
	for _, body := range []string{s.Short, s.Help()} {
		var t text
		t.add(body, 1)
		found = append(found, t.check("help of "+s.Name, list)...)
	}
	return found
}

// check returns the phrases of the list that are in a text.
func (t text) check(file string, list []phrase) (found []finding) {
	for _, p := range list {
		for _, at := range p.avoid.FindAllStringIndex(t.body, -1) {
			words := t.body[at[0]:at[1]]
			if p.except == nil || !p.except.MatchString(words) {
				words = strings.Join(strings.Fields(words), " ")
				found = append(found, finding{file, t.line(at[1] - 1), words, "write " + p.instead})
			}
		}
	}
	return found
}

// checkColumns returns the lines that are too long. A line of few words, such as a key, cannot be broken.
func checkColumns(file, source string) (found []finding) {
	n := 0
	for line := range strings.Lines(source) {
		n++
		columns, longest := utf8.RuneCountInString(strings.TrimRight(line, "\n")), 0
		for word := range strings.FieldsSeq(line) {
			longest = max(longest, utf8.RuneCountInString(word))
		}
		if columns > maxColumns && longest < maxColumns/2 {
			found = append(found, finding{file, n, fmt.Sprintf("%d columns", columns), "break the line"})
		}
	}
	return found
}
