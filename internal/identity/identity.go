// Package identity asks others on behalf of the authenticators: the API server whose a token is, issuers for their keys,
// Amazon SNS for its certificates. It owns what is remembered of the answers, for how long, and how often anybody is asked,
// because it is senders who are not known yet that make it ask. It decides about no request, and keeps no token.
//
// Everything here is safe for concurrent use. What is asked goes on in the background when the request that needed it ends,
// for some seconds at most.
package identity

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hookstorm/hookstorm/internal/outbound"
)

// Client makes guarded calls: *outbound.Client does.
type Client interface {
	// Do sends a request and returns the answer, whatever its status. It ends with ctx.
	Do(ctx context.Context, request *http.Request) (outbound.Answer, error)
}

// fetch returns what is at a url. An error names scheme, host and port of it, and quotes nothing of the answer.
func fetch(ctx context.Context, client Client, url string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, outbound.ErrURL // err would quote the url
	}
	answer, err := client.Do(ctx, request)
	switch origin := request.URL.Scheme + "://" + request.URL.Host; {
	case err != nil:
		return nil, err
	case answer.Status >= 300 && answer.Status < 400:
		return nil, fmt.Errorf("%s answered %d, a redirect, which is not followed; give the url that it leads to", origin, answer.Status)
	case answer.Status != http.StatusOK:
		return nil, fmt.Errorf("%s answered %d", origin, answer.Status)
	case answer.Truncated:
		return nil, fmt.Errorf("the answer of %s was cut short, or is longer than %d bytes", origin, len(answer.Body))
	}
	return answer.Body, nil
}
