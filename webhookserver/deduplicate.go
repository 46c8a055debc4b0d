package webhookserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/hookstorm/hookstorm/internal/expression"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// Deduplication says what makes two requests to a webhook the same. It is immutable and safe for concurrent use.
type Deduplication struct {
	signed     bool
	header     string // canonical
	expression *expression.Template
}

// BySignedContent takes what was signed.
func BySignedContent() *Deduplication { return &Deduplication{signed: true} }

// ByHeader takes the value of a header. One that holds a credential or a signature is an error: it is taken out before.
func ByHeader(name string) (*Deduplication, error) {
	canonical := http.CanonicalHeaderKey(name)
	if auth.IsSecretHeader(canonical) {
		return nil, fmt.Errorf("%s holds a credential or a signature; name a header with an id", name)
	}
	return &Deduplication{header: canonical}, nil
}

// ByExpression takes the value of a CEL expression over trigger, the payload. An error says what is wrong with it.
func ByExpression(text string) (*Deduplication, error) {
	template, err := expression.CompileTemplate("${"+text+"}", expression.RuleVariables)
	if err != nil {
		return nil, err
	}
	return &Deduplication{expression: template}, nil
}

// once returns the id under which a delivery is stored once; "" where it has nothing of what makes it the same as another.
// The webhook's UID is part of it, so that no webhook can use up what another one waits for.
func (x *exchange) once() string {
	value, found := x.distinction(x.r.Context())
	if !found {
		return ""
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s%s", len(x.route.UID), x.route.UID, value)
	return hex.EncodeToString(h.Sum(nil))
}

// distinction returns what is compared, with a letter for its kind before it.
func (x *exchange) distinction(ctx context.Context) (string, bool) {
	d := x.route.Deduplicate
	switch {
	case d == nil:
		return "", false
	case d.signed:
		digest := x.proof.Signed()
		return "s" + string(digest[:]), x.proof.Verdict == auth.Admitted
	case d.header != "":
		value := x.r.Header.Get(d.header)
		return "h" + value, value != ""
	}
	value, err := d.expression.Render(ctx, &expression.Scope{Payload: expression.NewPayload(x.delivery.Payload)})
	if err != nil || value == nil {
		return "", false
	}
	text, err := json.Marshal(value)
	return "e" + string(text), err == nil
}
