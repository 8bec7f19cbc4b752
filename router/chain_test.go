package router

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestChain_Documented checks that the package comment and ARCHITECTURE.md list the middleware in the order of the
// chain, and that each is alone in its file.
func TestChain_Documented(t *testing.T) {
	chain := chainOrder(t)
	if len(chain) < 5 {
		t.Fatalf("found only %q in chain.go", chain)
	}
	for _, file := range []string{"chain.go", "../ARCHITECTURE.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := listedMiddleware(string(text)); !slices.Equal(got, chain) {
			t.Errorf("%s lists %q, want %q", file, got, chain)
		}
		changed := strings.ReplaceAll(string(text), chain[2], chain[3])
		if got := listedMiddleware(changed); slices.Equal(got, chain) {
			t.Errorf("%s with %s instead of %s was accepted", file, chain[3], chain[2])
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]string{} // file of each middleware
	for _, file := range files {
		for _, declaration := range parseFile(t, file).Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || !slices.Contains(chain, function.Name.Name) {
				continue
			}
			for other, where := range declared {
				if where == file {
					t.Errorf("%s declares %s and %s", file, other, function.Name.Name)
				}
			}
			declared[function.Name.Name] = file
		}
	}
	if len(declared) != len(chain) {
		t.Errorf("found the declarations %v of %q", declared, chain)
	}
}

// chainOrder returns the names of the middleware in Gateway.Handler, the outermost first.
func chainOrder(t *testing.T) (names []string) {
	t.Helper()
	ast.Inspect(parseFile(t, "chain.go"), func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if name, ok := call.Fun.(*ast.Ident); !ok || name.Name != "Chain" {
			return true
		}
		for _, argument := range call.Args[1:] {
			if made, ok := argument.(*ast.CallExpr); ok {
				argument = made.Fun
			}
			names = append(names, argument.(*ast.Ident).Name)
		}
		return false
	})
	return names
}

func parseFile(t *testing.T, name string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// listedMiddleware returns the names in a package comment ("in the same order: a, b.") or a list ("- **a**").
func listedMiddleware(text string) (names []string) {
	if _, list, ok := strings.Cut(text, "in the same order:"); ok {
		list, _, _ = strings.Cut(list, ".")
		return strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(" ,/\n", r) })
	}
	for _, match := range regexp.MustCompile(`(?m)^   - \*\*([a-zA-Z]+)\*\*`).FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	return names
}
