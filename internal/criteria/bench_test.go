package criteria

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hookstorm/hookstorm/internal/expression"
)

// payloadOf returns a payload of about so many bytes, as a webhook makes it: most of it is the body.
func payloadOf(size int) string {
	headers := `{"Content-Type":"application/json","User-Agent":"GitHub-Hookshot/1","X-Github-Event":"pull_request"}`
	var commits strings.Builder
	for i := 0; commits.Len() < size-500; i++ {
		fmt.Fprintf(&commits, `{"id":"%040x","message":"fix the \"thing\" that broke","distinct":true,"size":%d},`, i, i)
	}
	return fmt.Sprintf(`{"headers":%s,"headers_lower":%s,"body":{"commits":[%s],"action":"closed","number":5}}`,
		headers, strings.ToLower(headers), strings.TrimSuffix(commits.String(), ","))
}

func BenchmarkEvaluate(b *testing.B) {
	criteria := map[string]map[string]Criterion{
		"one":      {"trigger.body.action": {Type: "equals", Pattern: []byte(`"closed"`)}},
		"notMet":   {"trigger.body.action": {Type: "equals", Pattern: []byte(`"opened"`)}},
		"header":   {"trigger.headers_lower.x-github-event": {Type: "equals", Pattern: []byte(`"pull_request"`)}},
		"number":   {"trigger.body.number": {Type: "gt", Pattern: []byte(`4`)}},
		"regex":    {"trigger.body.action": {Type: "regex", Pattern: []byte(`"^(closed|merged)$"`)}},
		"query":    {"trigger..action": {Type: "equals", Pattern: []byte(`"closed"`)}},
		"template": {"trigger.body.action": {Type: "equals", Pattern: []byte(`"${trigger.body.action}"`)}},
		"search": {"trigger.body.commits": {Type: "search", Condition: "all",
			Pattern: []byte(`{"item.message": {"type": "contains", "pattern": "fix"}}`)}},
	}
	for _, size := range []int{2 << 10, 10 << 10} {
		payload := payloadOf(size)
		for name, definitions := range criteria {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				set, err := Compile(definitions)
				if err != nil {
					b.Fatal(err)
				}
				scope := &expression.Scope{Payload: expression.NewPayload([]byte(payload))}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := set.Evaluate(context.Background(), scope, time.Time{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
