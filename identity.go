package main

import (
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hookstorm/hookstorm/controllers"
	"github.com/hookstorm/hookstorm/internal/identity"
	"github.com/hookstorm/hookstorm/internal/outbound"
	"github.com/hookstorm/hookstorm/internal/rule"
	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// newProgrammer returns what programs the server, with what the ways to be admitted ask: the API server about accounts,
// issuers for their keys, Amazon SNS for certificates; and what confirms subscriptions there.
func newProgrammer(
	mgr ctrl.Manager, o *options, calls *outbound.Client, books *rule.Books, routes *webhookserver.Routes,
) (*controllers.Programmer, webhookserver.Confirmer, error) {
	cluster, err := kubernetes.NewForConfig(mgr.GetConfig())
	if err != nil {
		return nil, nil, fmt.Errorf("preparing token reviews: %w", err)
	}
	log := mgr.GetLogger().WithName("identity")
	var programmer *controllers.Programmer
	sns := identity.NewSNS(identity.SNSOptions{Client: calls, Endpoint: auth.SNSEndpoint, Logger: log, Now: time.Now})
	sets := identity.NewKeySets(identity.KeySetsOptions{
		Client: calls, Parse: auth.ParseKeys, Logger: log, Now: time.Now,
		// There is no set, and so no change, before the programmer asks for one.
		Changed: func() { programmer.Rebuild() },
	})
	reviewer := identity.NewReviewer(identity.ReviewerOptions{
		Tokens: cluster.AuthenticationV1().TokenReviews(),
		Access: cluster.AuthorizationV1().SubjectAccessReviews(),
		Logger: log,
		Now:    time.Now,
	})
	settings := o.settings
	settings.TLS = o.certDir != ""
	programmer = controllers.NewProgrammer(mgr.GetClient(), settings, controllers.Identity{
		Reviewer:     func(audiences []string) auth.Reviewer { return reviewer.For(audiences) },
		Certificates: sns,
		KeySet:       func(issuer, url string) (controllers.KeySet, error) { return sets.Of(issuer, url) },
	}, books, routes)
	return programmer, sns, nil
}
