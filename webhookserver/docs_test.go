package webhookserver_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryReasonOfARefusalIsDocumented compares the table of the document with what the code of this package refuses for: the
// literals of refusal, and the first arguments of the functions that take a reason.
func TestEveryReasonOfARefusalIsDocumented(t *testing.T) {
	given := reasons(t)
	text, err := os.ReadFile("../docs/authentication.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| reason | answer | it means | do |\n|---|---|---|---|\n")
	if !found {
		t.Fatal("docs/authentication.md has no table of reasons")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	documented := map[string]bool{}
	for line := range strings.SplitSeq(table, "\n") {
		documented[strings.Trim(strings.Split(line, "|")[1], " `")] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(given)), slices.Sorted(maps.Keys(documented))); diff != "" {
		t.Errorf("the reasons in docs/authentication.md are not those of the code (-want +got):\n%s", diff)
	}
}

// reasons returns every reason that the code of this package gives.
func reasons(t *testing.T) map[string]bool {
	t.Helper()
	given := map[string]bool{}
	note := func(e ast.Expr) {
		if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			reason, _ := strconv.Unquote(literal.Value) // the parser took it
			given[reason] = true
		}
	}
	files := parseCode(t)
	takers := reasonTakers(files)
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "reason" {
					note(n.Value)
				}
			case *ast.CallExpr:
				if called, ok := n.Fun.(*ast.Ident); ok && takers[called.Name] {
					note(n.Args[0])
				}
			}
			return true
		})
	}
	return given
}

// reasonTakers returns the functions whose first parameter is a reason.
func reasonTakers(files []*ast.File) map[string]bool {
	takers := map[string]bool{}
	for _, file := range files {
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Recv != nil || len(function.Type.Params.List) == 0 {
				continue
			}
			first := function.Type.Params.List[0]
			takers[function.Name.Name] = len(first.Names) > 0 && first.Names[0].Name == "reason"
		}
	}
	return takers
}

func parseCode(t *testing.T) []*ast.File {
	t.Helper()
	names, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
