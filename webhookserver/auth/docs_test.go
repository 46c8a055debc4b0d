package auth

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const (
	document   = "../../docs/authentication.md"
	definition = "../../config/crd/bases/hookstorm.dev_webhooks.yaml"
)

func TestTheDocumentedSchemesAreThoseThatThereAre(t *testing.T) {
	rows := documented(t, "| scheme | headers | what is signed | how | time |")
	if diff := cmp.Diff(Schemes(), firstCells(rows)); diff != "" {
		t.Fatalf("the table of schemes in docs/authentication.md is not the table of the code (-want +got):\n%s", diff)
	}
	for i := range schemes {
		scheme, row := &schemes[i], rows[i]
		for column, cell := range describe(scheme) {
			same := row[column] == cell
			if cell == "" || scheme.adapt != nil {
				same = strings.HasPrefix(row[column], cell) // words say what options change
			}
			if !same {
				t.Errorf("%s: column %d in docs/authentication.md is %q, and in the code %q", scheme.name, column+1, row[column], cell)
			}
		}
	}
}

// describe returns the document's row of a scheme. "" is what only words say.
func describe(s *scheme) []string {
	row := []string{"`" + s.name + "`", "", "", "", "none"}
	if s.tolerance != 0 {
		row[4] = strings.TrimSuffix(strings.TrimSuffix(s.tolerance.String(), "0s"), "0m")
	}
	var headers []string
	for _, at := range s.places {
		names := "`" + at.signature + "`"
		for _, name := range []string{at.timestamp, at.id} {
			if name != "" {
				names += ", `" + name + "`"
			}
		}
		headers = append(headers, names)
	}
	row[1] = strings.Join(headers, ", or ")
	if s.algorithm == "" {
		return row
	}
	row[3] = fmt.Sprintf("%s, %s", s.algorithm, s.encoding)
	if s.prefix != "" {
		row[3] += " after `" + s.prefix + "`"
	}
	if s.signed != "" {
		row[2] = "`" + s.signed + "`"
	}
	return row
}

func TestEveryProviderIsDocumented(t *testing.T) {
	rows := documented(t, "| scheme | where the provider has the key | `deduplicate`, for copies and retries | how long it waits, and tries again |")
	if diff := cmp.Diff(Schemes(), firstCells(rows)); diff != "" {
		t.Errorf("the table of providers in docs/authentication.md (-want +got):\n%s", diff)
	}
}

func TestTheAPITakesTheSchemesThatThereAre(t *testing.T) {
	text, err := os.ReadFile(definition)
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	property := *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, name := range []string{"spec", "auth", "signature", "scheme"} {
		if property = property.Properties[name]; property.Items != nil {
			property = *property.Items.Schema
		}
	}
	taken := map[string]bool{}
	for _, value := range property.Enum {
		taken[strings.Trim(string(value.Raw), `"`)] = true
	}
	known := map[string]bool{}
	for _, name := range Schemes() {
		known[name] = true
	}
	if diff := cmp.Diff(known, taken); diff != "" {
		t.Errorf("spec.auth.signature.scheme of the API (-want +got):\n%s", diff)
	}
}

// documented returns the cells of the rows of the table with a head.
func documented(t *testing.T, head string) [][]string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), head+"\n")
	if !found {
		t.Fatalf("docs/authentication.md has no table with the head %s", head)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	columns := strings.Count(head, " | ") + 1
	var rows [][]string
	for i, line := range strings.Split(table, "\n") {
		if i == 0 {
			continue // the line of dashes
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
		if len(cells) != columns {
			t.Fatalf("a row of docs/authentication.md has %d cells, and its table %d columns: %s", len(cells), columns, line)
		}
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		rows = append(rows, cells)
	}
	return rows
}

func firstCells(rows [][]string) []string {
	cells := make([]string, 0, len(rows))
	for _, row := range rows {
		cells = append(cells, strings.Trim(row[0], "`"))
	}
	return cells
}
