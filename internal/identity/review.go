package identity

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
)

// reviewBounds are those of the questions to the API server, for the reviews of tokens and of rights each. It keeps tokens
// for ten seconds itself, so that a deleted account is out after twenty.
func reviewBounds() bounds {
	return bounds{
		yes:       10 * time.Second,
		no:        5 * time.Second,
		size:      4096, // some 4 MiB of users; the senders of ten seconds
		timeout:   2 * time.Second,
		known:     share{perSecond: 200, places: 16},
		strangers: share{perSecond: 50, places: 16},
	}
}

// ReviewerOptions say how the API server is asked.
type ReviewerOptions struct {
	// Tokens and Access are the API server's. Their client should not limit by itself how often it asks.
	Tokens authenticationclient.TokenReviewInterface
	Access authorizationclient.SubjectAccessReviewInterface
	// Logger hears when the API server cannot be asked, and that it can be again.
	Logger logr.Logger
	// Now is the clock.
	Now func() time.Time
}

// maxTogether is for how many audiences a token is reviewed at once. Few clusters have senders for more than one.
const maxTogether = 16

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// Reviewer asks the API server whose a token is and what its owner may do. It knows tokens by their SHA-256. It is immutable
// but for what it remembers.
type Reviewer struct {
	*reviews
	together map[string]*audiences // by each of them
}

// reviews is what all reviewers of an API server share.
type reviews struct {
	o      ReviewerOptions
	users  *memory[account]
	rights *memory[struct{}]

	mu      sync.Mutex
	failing bool
}

// account is whose a token is, and which of the audiences that were asked for it is for.
type account struct {
	user      authenticationv1.UserInfo
	audiences []string
}

// audiences are those for which a token is reviewed at once.
type audiences struct {
	names  []string
	digest string
}

func newAudiences(names []string) *audiences {
	digest := sha256.Sum256(fmt.Appendf(nil, "%q", names)) // whatever the names hold
	return &audiences{names, string(digest[:])}
}

// NewReviewer returns a reviewer that reviews each token for one audience; it asks nothing yet.
func NewReviewer(o ReviewerOptions) *Reviewer {
	return &Reviewer{reviews: &reviews{
		o:      o,
		users:  newMemory[account](reviewBounds(), o.Logger, o.Now),
		rights: newMemory[struct{}](reviewBounds(), o.Logger, o.Now),
	}}
}

// For returns a reviewer that knows the same, and reviews each token for all audiences in use at once, or as many as maxTogether
// of them: what is known of a token does not show whether it was shown to a webhook with the same audience or with another.
func (r *Reviewer) For(inUse []string) *Reviewer {
	sorted := slices.Compact(slices.Sorted(slices.Values(inUse)))
	together := make(map[string]*audiences, len(sorted))
	for names := range slices.Chunk(sorted, maxTogether) {
		all := newAudiences(names)
		for _, name := range names {
			together[name] = all
		}
	}
	return &Reviewer{reviews: r.reviews, together: together}
}

// MayPost reports whether a token is valid for an audience and its owner may create deliveries of a webhook; "" is every
// webhook of the namespace, and with namespace "" of all. Of what is asked about tokens that are not known a source has a
// part, unless it is not valid. An error says that it could not be found out. It ends with ctx.
func (r *Reviewer) MayPost(ctx context.Context, source netip.Addr, token, audience, namespace, webhook string) (bool, error) {
	all := r.together[audience]
	if all == nil {
		all = newAudiences([]string{audience})
	}
	digest := sha256.Sum256([]byte(token))
	key := string(digest[:])
	owner, valid, err := r.users.ask(ctx, question[account]{
		key: key, variant: all.digest, from: source,
		put: func(ctx context.Context) (account, bool, error) { return r.review(ctx, token, all.names) },
	})
	if err != nil || !valid || !slices.Contains(owner.audiences, audience) {
		return false, err
	}
	_, may, err := r.rights.ask(ctx, question[struct{}]{
		// A webhook has rights reviewed for its audience, and a decoy for that of another: one must not find what the other did.
		key: key + audience + "\x00" + namespace + "/" + webhook, from: source,
		put: func(ctx context.Context) (struct{}, bool, error) {
			may, err := r.may(ctx, &owner.user, namespace, webhook)
			return struct{}{}, may, err
		},
	})
	return may, err
}

// review returns whose a token is, if it is valid for one of some audiences.
func (r *reviews) review(ctx context.Context, token string, audiences []string) (account, bool, error) {
	review, err := r.o.Tokens.Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
	}, metav1.CreateOptions{})
	r.note(err)
	if err != nil {
		return account{}, false, fmt.Errorf("reviewing a token: %w", err)
	}
	// Status.Error is set for a token that is merely bad, too. An API server that knows no audiences returns none.
	valid := review.Status.Authenticated && len(review.Status.Audiences) > 0
	return account{review.Status.User, review.Status.Audiences}, valid, nil
}

// may reports whether a user may create deliveries of a webhook.
func (r *reviews) may(ctx context.Context, user *authenticationv1.UserInfo, namespace, webhook string) (bool, error) {
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for name, values := range user.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	review, err := r.o.Access.Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user.Username, Groups: user.Groups, UID: user.UID, Extra: extra,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: "create", Group: "hookstorm.dev", Resource: "webhooks", Subresource: "deliveries",
				Namespace: namespace, Name: webhook,
			},
		},
	}, metav1.CreateOptions{})
	r.note(err)
	if err != nil {
		return false, fmt.Errorf("reviewing the rights of %s: %w", user.Username, err)
	}
	return review.Status.Allowed, nil
}

// note tells when reviews begin to fail, and when they end to.
func (r *reviews) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing == (err != nil) {
		return
	}
	r.failing = err != nil
	if err != nil {
		r.o.Logger.Error(err, "The API server does not review tokens")
	} else {
		r.o.Logger.Info("The API server reviews tokens")
	}
}
