package expression

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata/functions.txt lists every function that an expression may call, and each of them was looked at: it reads no
// clock, no Secret and no network, and its result depends on its arguments alone. (The accessors of a timestamp, such as
// getHours, may name a time zone, and find it in Go's time zone database.) A function that a new version of a library
// brings fails this test until somebody has looked at it, and at what it may cost: see guard.go.
func TestEveryFunctionIsKnownToBePure(t *testing.T) {
	allowed, err := os.ReadFile("testdata/functions.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, variables := range []Variables{RuleVariables, ItemVariables} {
		e, err := environmentOf(variables)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.Sorted(maps.Keys(e.cel.Functions()))
		if diff := cmp.Diff(strings.Fields(string(allowed)), got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestEveryFunctionWithAPriceIsThere(t *testing.T) {
	e, err := environmentOf(RuleVariables)
	if err != nil {
		t.Fatal(err)
	}
	for function := range prices() {
		if !e.cel.HasFunction(function) {
			t.Errorf("there is no function %s", function)
		}
	}
}
