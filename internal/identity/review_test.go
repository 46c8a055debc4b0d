package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
)

// server is an API server with the faults of a test. Without one, the token is the name of its user, who may post to the
// webhook of that name.
type server struct {
	clock
	journal
	tokens func(context.Context, *authenticationv1.TokenReview) error
	access func(context.Context, *authorizationv1.SubjectAccessReview) error

	mu      sync.Mutex
	reviews []string
}

type tokenReviews struct {
	authenticationclient.TokenReviewInterface
	*server
}

type accessReviews struct {
	authorizationclient.SubjectAccessReviewInterface
	*server
}

func (s *server) note(review string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reviews = append(s.reviews, review)
}

// take returns the reviews since the last call.
func (s *server) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	reviews := s.reviews
	s.reviews = nil
	return reviews
}

func (s tokenReviews) Create(
	ctx context.Context, review *authenticationv1.TokenReview, _ metav1.CreateOptions,
) (*authenticationv1.TokenReview, error) {
	s.note("token " + review.Spec.Token + " for " + strings.Join(review.Spec.Audiences, ","))
	review.Status = authenticationv1.TokenReviewStatus{
		Authenticated: true, Audiences: review.Spec.Audiences,
		User: authenticationv1.UserInfo{
			Username: review.Spec.Token, UID: "1", Groups: []string{"all"},
			Extra: map[string]authenticationv1.ExtraValue{"pod": {"a"}},
		},
	}
	if s.tokens != nil {
		return review, s.tokens(ctx, review)
	}
	return review, nil
}

func (s accessReviews) Create(
	ctx context.Context, review *authorizationv1.SubjectAccessReview, _ metav1.CreateOptions,
) (*authorizationv1.SubjectAccessReview, error) {
	asked := review.Spec.ResourceAttributes
	s.note("access " + review.Spec.User + " " + asked.Namespace + "/" + asked.Name)
	review.Status.Allowed = review.Spec.User == asked.Name
	if s.access != nil {
		return review, s.access(ctx, review)
	}
	return review, nil
}

func (s *server) reviewer(now func() time.Time) *Reviewer {
	return NewReviewer(ReviewerOptions{
		Tokens: tokenReviews{server: s}, Access: accessReviews{server: s}, Logger: s.logger(), Now: now,
	})
}

func TestTheAPIServerIsAskedBriefly(t *testing.T) {
	s := &server{}
	r := s.reviewer(s.now).For([]string{"hooks", "others"})
	ask := func(token, audience, namespace, webhook string, want bool, reviews ...string) {
		t.Helper()
		if may, err := r.MayPost(t.Context(), stranger, token, audience, namespace, webhook); may != want || err != nil {
			t.Errorf("%s may post to %s/%s: %v %v", token, namespace, webhook, may, err)
		}
		if diff := cmp.Diff(reviews, s.take()); diff != "" {
			t.Errorf("%s at %s/%s, reviews (-want +got):\n%s", token, namespace, webhook, diff)
		}
	}
	const token = "token git for hooks,others"
	ask("git", "hooks", "team", "git", true, token, "access git team/git")
	ask("git", "hooks", "team", "git", true)
	ask("git", "hooks", "team", "other", false, "access git team/other")
	ask("git", "hooks", "team", "other", false)
	ask("git", "hooks", "other", "git", true, "access git other/git")
	ask("git", "others", "team", "git", true, "access git team/git")
	ask("git", "hooks", "", "", false, "access git /")
	s.pass(5 * time.Second)
	ask("git", "hooks", "team", "other", false, "access git team/other")
	ask("git", "hooks", "team", "git", true)
	s.pass(5 * time.Second)
	ask("git", "hooks", "team", "git", true, token, "access git team/git")
}

// TestATokenIsReviewedForAllAudiencesAtOnce asks about a token for webhooks with one audience and then with another. What is
// remembered must not show which audience it was asked about.
func TestATokenIsReviewedForAllAudiencesAtOnce(t *testing.T) {
	type question struct {
		audience string
		may      bool
		reviews  []string
	}
	const token, access = "token git for builds,hooks", "access git team/git"
	for _, c := range []struct {
		name   string
		isFor  []string // nil: it is no token
		asking []question
	}{
		{"a token that is none", nil, []question{{"builds", false, []string{token}}, {"hooks", false, nil}}},
		{"one for nobody who asks", []string{}, []question{{"builds", false, []string{token}}, {"hooks", false, nil}}},
		{"one for the second", []string{"hooks"}, []question{{"builds", false, []string{token}}, {"hooks", true, []string{access}}}},
		{"one for the first", []string{"builds"}, []question{{"builds", true, []string{token, access}}, {"hooks", false, nil}}},
		{"one for both", []string{"builds", "hooks"}, []question{
			{"builds", true, []string{token, access}}, {"hooks", true, []string{access}}, {"builds", true, nil},
		}},
	} {
		s := &server{tokens: func(_ context.Context, r *authenticationv1.TokenReview) error {
			r.Status.Authenticated, r.Status.Audiences = c.isFor != nil, c.isFor
			return nil
		}}
		first := s.reviewer(s.now)
		for _, q := range c.asking {
			// The next table has another reviewer, which knows the same.
			r := first.For([]string{"hooks", "builds", "hooks"})
			may, err := r.MayPost(t.Context(), stranger, "git", q.audience, "team", "git")
			if may != q.may || err != nil {
				t.Errorf("%s, at a webhook for %s: %v %v", c.name, q.audience, may, err)
			}
			if diff := cmp.Diff(q.reviews, s.take()); diff != "" {
				t.Errorf("%s, reviews for %s (-want +got):\n%s", c.name, q.audience, diff)
			}
		}
	}
}

func TestAReviewIsForFewAudiences(t *testing.T) {
	s := &server{}
	var inUse []string
	for n := range 2*maxTogether + 1 {
		inUse = append(inUse, fmt.Sprintf("audience-%02d", n))
	}
	r, together := s.reviewer(s.now).For(inUse), map[string]int{}
	for _, audience := range append(inUse, "unused") {
		if may, err := r.MayPost(t.Context(), stranger, audience, audience, "team", audience); !may || err != nil {
			t.Errorf("%s: %v %v", audience, may, err)
		}
		_, names, _ := strings.Cut(s.take()[0], " for ")
		together[audience] = strings.Count(names, ",") + 1
		if !slices.Contains(strings.Split(names, ","), audience) {
			t.Errorf("%s is not among %s", audience, names)
		}
	}
	want := map[string]int{"audience-32": 1, "unused": 1}
	for _, audience := range inUse[:2*maxTogether] {
		want[audience] = maxTogether
	}
	if diff := cmp.Diff(want, together); diff != "" {
		t.Errorf("audiences of a review (-want +got):\n%s", diff)
	}
}

// TestMadeUpTokensKeepNoNewSenderOut has one source show tokens that it made up as fast as it can.
func TestMadeUpTokensKeepNoNewSenderOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{tokens: func(_ context.Context, r *authenticationv1.TokenReview) error {
			r.Status.Authenticated = r.Spec.Token == "git"
			return nil
		}}
		r, refused := s.reviewer(time.Now), 0
		for n := range 300 {
			if _, err := r.MayPost(t.Context(), netip.MustParseAddr("203.0.113.9"), fmt.Sprint(n), "hooks", "team", "git"); err != nil {
				refused++
			}
		}
		if most := int(2 * reviewBounds().strangers.part().perSecond); refused != 300-most {
			t.Errorf("%d of 300 made-up tokens are not asked about, want all but %d", refused, most)
		}
		may, err := r.MayPost(t.Context(), netip.MustParseAddr("192.0.2.1"), "git", "hooks", "team", "git")
		if !may || err != nil {
			t.Errorf("a new sender: %v %v", may, err)
		}
	})
}

func TestWhatTheAPIServerMayAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		tokens func(context.Context, *authenticationv1.TokenReview) error
		access func(context.Context, *authorizationv1.SubjectAccessReview) error
		want   bool
		failed string
	}{
		{name: "who may", want: true},
		{name: "a token that is none", tokens: func(_ context.Context, r *authenticationv1.TokenReview) error {
			r.Status.Authenticated, r.Status.Error = false, "invalid bearer token"
			return nil
		}},
		{name: "a token for another audience", tokens: func(_ context.Context, r *authenticationv1.TokenReview) error {
			r.Status.Audiences = []string{"https://kubernetes.default.svc"}
			return nil
		}},
		{name: "an API server that knows no audiences", tokens: func(_ context.Context, r *authenticationv1.TokenReview) error {
			r.Status.Audiences = nil
			return nil
		}},
		{name: "token reviews that fail", tokens: func(context.Context, *authenticationv1.TokenReview) error {
			return errors.New("connection refused")
		}, failed: "reviewing a token: connection refused"},
		{name: "access reviews that fail", access: func(context.Context, *authorizationv1.SubjectAccessReview) error {
			return errors.New("connection refused")
		}, failed: "reviewing the rights of git: connection refused"},
		{name: "the whole user is asked about", access: func(_ context.Context, r *authorizationv1.SubjectAccessReview) error {
			want := authorizationv1.SubjectAccessReviewSpec{
				User: "git", UID: "1", Groups: []string{"all"}, Extra: map[string]authorizationv1.ExtraValue{"pod": {"a"}},
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: "create", Group: "hookstorm.dev", Resource: "webhooks", Subresource: "deliveries", Namespace: "team", Name: "git",
				},
			}
			if diff := cmp.Diff(want, r.Spec); diff != "" {
				return errors.New(diff)
			}
			return nil
		}, want: true},
	} {
		s := &server{tokens: c.tokens, access: c.access}
		may, err := s.reviewer(s.now).MayPost(t.Context(), stranger, "git", "hooks", "team", "git")
		if may != c.want || (err == nil) != (c.failed == "") || (err != nil && err.Error() != c.failed) {
			t.Errorf("%s: %v %v, want %v %s", c.name, may, err, c.want, c.failed)
		}
	}
}

func TestAnAPIServerThatIsAwayIsLoggedOnce(t *testing.T) {
	s := &server{}
	r, away := s.reviewer(s.now), true
	s.tokens = func(context.Context, *authenticationv1.TokenReview) error {
		if away {
			return errors.New("connection refused")
		}
		return nil
	}
	for range 3 {
		if _, err := r.MayPost(t.Context(), stranger, "git", "hooks", "team", "git"); err == nil {
			t.Error("there is no error")
		}
	}
	away = false
	if may, err := r.MayPost(t.Context(), stranger, "git", "hooks", "team", "git"); !may || err != nil {
		t.Errorf("when it is back: %v %v", may, err)
	}
	lines := s.read()
	if len(lines) != 2 || !strings.Contains(lines[0], "connection refused") || strings.Contains(strings.Join(lines, ""), "git") {
		t.Errorf("logged: %s", strings.Join(lines, "\n"))
	}
}

func TestAnAPIServerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{tokens: func(ctx context.Context, _ *authenticationv1.TokenReview) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}
		r, begun := s.reviewer(time.Now), time.Now()
		var all sync.WaitGroup
		for n := range 100 {
			all.Go(func() {
				if _, err := r.MayPost(t.Context(), stranger, fmt.Sprint(n), "hooks", "team", "git"); err == nil {
					t.Error("there is no error")
				}
			})
		}
		all.Wait()
		if took, asked := time.Since(begun), len(s.take()); took != 2*time.Second || asked != 16 {
			t.Errorf("%d reviews took %v", asked, took)
		}
	})
}
