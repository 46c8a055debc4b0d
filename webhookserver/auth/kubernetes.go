package auth

import (
	"context"
	"errors"
	"net/netip"
)

// DefaultAudience is whom a token of the cluster must be for if the webhook does not say.
const DefaultAudience = "hookstorm"

// Reviewer asks the cluster about tokens. It is safe for concurrent use.
type Reviewer interface {
	// MayPost reports whether a token is one of the cluster's and for an audience, and its owner may create deliveries of a
	// webhook; with webhook "" those of every webhook of the namespace, with both "" those of all. It bounds how much it asks
	// for a source; one that is not valid may be many. An error says that it could not be found out, and that asking again may
	// help. It ends with ctx.
	MayPost(ctx context.Context, source netip.Addr, token, audience, namespace, webhook string) (bool, error)
}

// Kubernetes admits accounts of the cluster that may create deliveries of the webhook.
type Kubernetes struct {
	audience string
	reviewer Reviewer
}

// NewKubernetes returns the way in for tokens that are for an audience; "" is DefaultAudience.
func NewKubernetes(reviewer Reviewer, audience string) (*Kubernetes, error) {
	if reviewer == nil {
		return nil, errors.New("kubernetes: nobody reviews tokens here")
	}
	if audience == "" {
		audience = DefaultAudience
	}
	return &Kubernetes{audience: audience, reviewer: reviewer}, nil
}

// Admit implements Method. What is no signed token by its looks is never shown to the cluster.
func (k *Kubernetes) Admit(ctx context.Context, r *Request) Result {
	if r.signedToken() == nil {
		return Result{}
	}
	may, err := k.reviewer.MayPost(ctx, r.Source, r.Bearer, k.audience, r.Namespace, r.Webhook)
	switch {
	case err != nil:
		return Result{Verdict: Unavailable}
	case may:
		return Result{Verdict: Admitted}
	default:
		return Result{}
	}
}
