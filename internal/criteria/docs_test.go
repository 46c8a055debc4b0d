package criteria

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestTheDocumentedOperatorsAreThoseThatThereAre(t *testing.T) {
	document, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(document), "| operator | holds when |\n|---|---|\n")
	table, _, ended := strings.Cut(table, "\n\n")
	if !found || !ended {
		t.Fatal("there is no table of operators")
	}
	var want strings.Builder
	for _, o := range Describe() {
		fmt.Fprintf(&want, "| `%s` | %s |\n", strings.Join(o.Names, "`, `"), o.Meaning)
	}
	if got := table + "\n"; got != want.String() {
		t.Errorf("the table of docs/rules.md should be:\n%s", want.String())
	}
}
