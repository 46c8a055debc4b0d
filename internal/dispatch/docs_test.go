package dispatch

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// description tells name and labels in the text of a prometheus.Desc, which has no other way to be asked.
var description = regexp.MustCompile(`fqName: "(hookstorm_[^"]*)".*variableLabels: \{([^}]*)\}`)

func TestEveryMetricIsDocumentedWithItsLabels(t *testing.T) {
	registered, ok := metrics.Registry.(prometheus.Collector)
	if !ok {
		t.Fatal("the registry describes no metrics")
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		registered.Describe(descriptions)
	}()
	declared := map[string]string{}
	for one := range descriptions {
		if match := description.FindStringSubmatch(one.String()); match != nil {
			declared[match[1]] = strings.ReplaceAll(match[2], ",", ", ")
		}
	}
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| metric | labels | counts |\n|---|---|---|\n")
	if !found {
		t.Fatal("docs/operating.md has no table of metrics")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	documented := map[string]string{}
	for row := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(strings.ReplaceAll(row, "`", ""), "|")
		documented[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2])
	}
	if diff := cmp.Diff(declared, documented); diff != "" {
		t.Errorf("the metrics in docs/operating.md are not those of the code (-want +got):\n%s", diff)
	}
}
