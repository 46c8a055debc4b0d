package identity

import (
	"context"
	"crypto/sha256"
	"fmt"
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

// Reviewer asks the API server whose a token is and what its owner may do. It knows tokens by their SHA-256.
//
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
type Reviewer struct {
	o      ReviewerOptions
	users  *memory[authenticationv1.UserInfo]
	rights *memory[struct{}]

	mu      sync.Mutex
	failing bool
}

// NewReviewer returns a reviewer; it asks nothing yet.
func NewReviewer(o ReviewerOptions) *Reviewer {
	return &Reviewer{
		o:      o,
		users:  newMemory[authenticationv1.UserInfo](reviewBounds(), o.Now),
		rights: newMemory[struct{}](reviewBounds(), o.Now),
	}
}

// MayPost reports whether a token is valid for an audience and its owner may create deliveries of a webhook; "" is every
// webhook of the namespace, and with namespace "" of all. An error says that it could not be found out. It ends with ctx.
func (r *Reviewer) MayPost(ctx context.Context, token, audience, namespace, webhook string) (bool, error) {
	digest := sha256.Sum256([]byte(audience + "\x00" + token))
	key := string(digest[:])
	user, valid, err := r.users.ask(ctx, key, func(ctx context.Context) (authenticationv1.UserInfo, bool, error) {
		return r.user(ctx, token, audience)
	})
	if err != nil || !valid {
		return false, err
	}
	_, may, err := r.rights.ask(ctx, key+namespace+"/"+webhook, func(ctx context.Context) (struct{}, bool, error) {
		may, err := r.may(ctx, &user, namespace, webhook)
		return struct{}{}, may, err
	})
	return may, err
}

// user returns whose a token is, if it is valid for an audience.
func (r *Reviewer) user(ctx context.Context, token, audience string) (authenticationv1.UserInfo, bool, error) {
	review, err := r.o.Tokens.Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}},
	}, metav1.CreateOptions{})
	r.note(err)
	if err != nil {
		return authenticationv1.UserInfo{}, false, fmt.Errorf("reviewing a token: %w", err)
	}
	// Status.Error is set for a token that is merely bad, too. An API server that knows no audiences returns none.
	valid := review.Status.Authenticated && slices.Contains(review.Status.Audiences, audience)
	return review.Status.User, valid, nil
}

// may reports whether a user may create deliveries of a webhook.
func (r *Reviewer) may(ctx context.Context, user *authenticationv1.UserInfo, namespace, webhook string) (bool, error) {
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
func (r *Reviewer) note(err error) {
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
