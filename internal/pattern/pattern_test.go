package pattern

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
)

func TestCompile_Matches(t *testing.T) {
	for expr, text := range map[string]string{
		"error|warn": "a warning",
		`^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`: "01234567-89ab-cdef-0123-456789abcdef",
		`(?i)timeout after \d{1,100}ms`:               "Timeout after 15ms",
		`\pL+ \S{0,200}`:                              "é x",
		strings.Repeat("x", maxLength):                strings.Repeat("x", maxLength),
	} {
		re, err := Compile(expr)
		if err != nil {
			t.Errorf("%.40q: %v", expr, err)
		} else if !re.MatchString(text) {
			t.Errorf("%.40q does not match %.40q", expr, text)
		}
	}
}

func TestCompile_TooLarge(t *testing.T) {
	for expr, want := range map[string]string{
		strings.Repeat("x", maxLength+1):       "the pattern has 1001 bytes, the limit is 1000",
		strings.Repeat("x{1000}", 3000):        "the pattern has 21000 bytes",
		strings.Repeat("x{1000}", 100):         "too large",
		"(x{100}){100}":                        "invalid repeat count", // refused by syntax.Parse
		"((abc){30}d){30}":                     "too large",
		"((x{10}){10}){10}y{1000}":             "too large",
		"((x{100,})?y{100,}){9}":               "too large",
		`(\pL{1,300})`:                         "too large",
		`^` + strings.Repeat(`\pL`, 200) + `$`: "too large",
		strings.Repeat("(?:", 100) + "x" + strings.Repeat("){9}", 100): "repeat",
		"(": "missing closing )",
	} {
		if re, err := Compile(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, %v, want an error with %q", expr, re != nil, err, want)
		}
	}
}

// FuzzCompile checks that an accepted pattern compiles to no more instructions than calculated.
func FuzzCompile(f *testing.F) {
	for _, expr := range []string{
		"a|b|c", "(a{3,7}b*){5}", `(?i)\pL{3}[^x]+?$`, "(x{100}){100}", "((a*)*)*|",
		"(?:){1000}", "(|a|)*{2}", "[a-cx-z]{0}", "(^|$){2,}",
	} {
		f.Add(expr)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if _, err := Compile(expr); err != nil {
			return
		}
		parsed, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		calculated := size(parsed)
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if n := len(program.Inst); n > calculated+2 { // a program starts with fail and ends with match
			t.Errorf("%q compiles to %d instructions, %d were calculated", expr, n, calculated)
		}
	})
}

// TestCompile_OnlyHere checks that no other package compiles an expression that is not its own constant. Package prose
// is exempt: it is a tool for developers, and its expressions are in the repository.
func TestCompile_OnlyHere(t *testing.T) {
	compiles := regexp.MustCompile(`\b(regexp\.(Compile|CompilePOSIX|Match|MatchString|MatchReader)|` +
		`regexp\.MustCompile(POSIX)?)\(\s*([^)\s])`)
	var found []string
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "prose" {
			return filepath.SkipDir
		}
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range compiles.FindAllStringSubmatch(string(source), -1) {
			if constant := strings.Contains(m[1], "Must") && strings.Contains("`\"", m[4]); !constant {
				found = append(found, filepath.Base(filepath.Dir(path))+": "+m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "pattern: regexp.Compile"; strings.Join(found, "\n") != want {
		t.Errorf("got %q, want %q alone: compile expressions of users with pattern.Compile", found, want)
	}
}
