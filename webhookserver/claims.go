package webhookserver

import (
	"context"

	"github.com/hookstorm/hookstorm/internal/expression"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// claimsCondition is a condition on the claims of a token.
type claimsCondition struct{ condition *expression.Condition }

// CompileClaims compiles a CEL expression over claims, those of a JSON Web Token. An error says what is wrong with it.
func CompileClaims(text string) (auth.Condition, error) {
	condition, err := expression.CompileClaims(text)
	if err != nil {
		return nil, err
	}
	return claimsCondition{condition}, nil
}

// Holds implements auth.Condition.
func (c claimsCondition) Holds(ctx context.Context, claims []byte) (bool, error) {
	return c.condition.Holds(ctx, &expression.Scope{Payload: expression.NewPayload(claims)})
}
