package controllers

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// webhookParts are the parts of a Webhook's spec that are compiled, once for each generation.
type webhookParts struct {
	spec        *v1alpha1.WebhookSpec
	schema      *webhookserver.Schema
	deduplicate *webhookserver.Deduplication
	claims      map[int][]auth.Condition // by entry of spec.auth
	claimErrors map[int]error
}

// compileWebhook compiles the parts of a spec. An error of a condition on claims is its entry's.
func compileWebhook(spec *v1alpha1.WebhookSpec) (*webhookParts, error) {
	p := &webhookParts{spec: spec, claims: map[int][]auth.Condition{}, claimErrors: map[int]error{}}
	var schemaErr, deduplicateErr error
	if spec.PayloadSchema != nil {
		if p.schema, schemaErr = webhookserver.CompileSchema(spec.PayloadSchema.Raw); schemaErr != nil {
			schemaErr = fmt.Errorf("spec.payloadSchema: %w", schemaErr)
		}
	}
	p.deduplicate, deduplicateErr = compileDeduplicate(spec)
	for i, entry := range spec.Authentication() {
		if entry.JWT != nil {
			p.claims[i], p.claimErrors[i] = compileClaims(entry.JWT.RequiredClaims)
		}
	}
	return p, errors.Join(schemaErr, deduplicateErr)
}

func compileClaims(expressions []v1alpha1.Expression) ([]auth.Condition, error) {
	conditions := make([]auth.Condition, 0, len(expressions))
	for i, text := range expressions {
		condition, err := webhookserver.CompileClaims(string(text))
		if err != nil {
			return nil, fmt.Errorf("jwt.requiredClaims[%d]: %w", i, err)
		}
		conditions = append(conditions, condition)
	}
	return conditions, nil
}

func compileDeduplicate(spec *v1alpha1.WebhookSpec) (*webhookserver.Deduplication, error) {
	d := spec.Deduplicate
	switch {
	case d == nil:
		return nil, nil
	case d.By == v1alpha1.DeduplicateByHeader:
		return deduplicateByHeader(spec)
	case d.By == v1alpha1.DeduplicateByExpression:
		compiled, err := webhookserver.ByExpression(string(d.Expression))
		if err != nil {
			return nil, fmt.Errorf("spec.deduplicate.expression: %w", err)
		}
		return compiled, nil
	case !slices.ContainsFunc(spec.Authentication(), func(entry v1alpha1.WebhookAuth) bool { return entry.Signature != nil }):
		return nil, errors.New("spec.deduplicate.by: SignedContent needs an entry signature in spec.auth; add one, or choose Header or Expression")
	default:
		return webhookserver.BySignedContent(), nil
	}
}

func deduplicateByHeader(spec *v1alpha1.WebhookSpec) (*webhookserver.Deduplication, error) {
	header := spec.Deduplicate.Header
	for _, entry := range spec.Authentication() {
		if entry.Signature != nil && strings.EqualFold(chosenHeader(entry.Signature), header) {
			return nil, fmt.Errorf("spec.deduplicate.header: %s holds the signature; name another header, or choose SignedContent", header)
		}
	}
	compiled, err := webhookserver.ByHeader(header)
	if err != nil {
		return nil, fmt.Errorf("spec.deduplicate.header: %w", err)
	}
	return compiled, nil
}

// chosenHeader is the header in which the owner of a webhook has the signature; "" where that is the provider's to say.
func chosenHeader(s *v1alpha1.SignatureAuth) string {
	if s.Custom != nil {
		return s.Custom.Header
	}
	return s.Header
}

// conditions returns the compiled conditions of an entry of spec.auth.
func (p *webhookParts) conditions(entry int) ([]auth.Condition, error) {
	return p.claims[entry], p.claimErrors[entry]
}
