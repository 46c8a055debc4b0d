package action

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// apiTimeout bounds one request: an admission webhook may take 30 s, and the API server gives up at 34 s.
const apiTimeout = 40 * time.Second

// api talks to the API server. One pool of connections serves everybody: who a request is made for is a header of it.
type api struct {
	client  *rest.RESTClient
	account types.NamespacedName
	kinds   *kinds
}

func newAPI(config *rest.Config, account types.NamespacedName, now func() time.Time) (*api, error) {
	if config.Impersonate.UserName != "" {
		return nil, errors.New("the configuration impersonates somebody, and impersonating cannot be nested")
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // the API server knows better how much it can take
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.WarningHandlerWithContext = rest.NoWarnings{} // they quote what a payload has put into an object
	config.WarningHandler = nil
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	c, err := rest.UnversionedRESTClientForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, err
	}
	return &api{client: c, account: account, kinds: newKinds(c, now)}, nil
}

// target is an object, and the ServiceAccount as which it is written.
type target struct {
	kind            kind
	namespace, name string // namespace is empty for kinds that have none
	account         types.NamespacedName
}

// String names the object for people, as status.rules[].actions[].object does.
func (t *target) String() string {
	text := strings.ToLower(t.kind.Kind)
	if t.kind.Group != "" {
		text += "." + t.kind.Group
	}
	text += "/" + t.name
	if t.namespace != "" {
		text += " in " + t.namespace
	}
	return printable(text)
}

// target resolves what is written: the kind, and the namespace, which is the Rule's unless another is named. name may be
// empty.
func (a *api) target(ctx context.Context, t *Task, apiVersion, kindName, namespace, name string) (*target, error) {
	account := types.NamespacedName{Namespace: t.Namespace, Name: t.ServiceAccount}
	if account.Name == "" {
		account.Name = v1alpha1.DefaultServiceAccount
	}
	if namespace == "" {
		namespace = t.Namespace
	}
	switch {
	// A name that is none would be taken for that of another sort of user.
	case len(validation.ValidateServiceAccountName(account.Name, false)) > 0:
		return nil, final(ReasonInvalid, "serviceAccountName: %q is no name of a ServiceAccount", account.Name)
	case len(validation.ValidateNamespaceName(namespace, false)) > 0:
		return nil, final(ReasonInvalid, "metadata.namespace: %q is no name of a namespace", namespace)
	case name != "" && !nameable(name):
		return nil, final(ReasonInvalid, "metadata.name: %q is no name of an object", name)
	}
	k, err := a.kinds.find(ctx, apiVersion, kindName)
	if err != nil {
		return nil, err
	}
	if !k.namespaced {
		namespace = ""
	}
	return &target{kind: k, namespace: namespace, name: name, account: account}, nil
}

// nameable reports whether a name can be part of a path and of a sentence. What more its kind asks for the API server says.
func nameable(name string) bool {
	const maxLength = 253
	return len(name) <= maxLength && isSegment(name) && printable(name) == name &&
		!strings.ContainsAny(name, " \"\\")
}

// request is one request about a target.
type request struct {
	verb       string            // of HTTP
	collection bool              // it is to the target's collection, where objects are created
	parameters map[string]string // of the query
	patch      types.PatchType
	body       []byte
}

// send sends a request about a target as its ServiceAccount, never as HookStorm itself, and returns the answer's body. The
// API server gives a ServiceAccount that is impersonated by its name alone the groups that it has.
func (a *api) send(ctx context.Context, t *target, r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	segments := t.kind.path()
	if t.namespace != "" {
		segments = append(segments, "namespaces", t.namespace)
	}
	segments = append(segments, t.kind.resource)
	if !r.collection {
		segments = append(segments, t.name)
	}
	call := a.client.Verb(r.verb).AbsPath(segments...)
	call = call.SetHeader(transport.ImpersonateUserHeader, serviceaccount.MakeUsername(t.account.Namespace, t.account.Name))
	call = call.MaxRetries(0) // when to try again is for the caller to say
	for key, value := range r.parameters {
		call = call.Param(key, value)
	}
	if r.patch != "" {
		call = call.SetHeader("Content-Type", string(r.patch))
	}
	if r.body != nil {
		call = call.Body(r.body)
	}
	answer := call.Do(ctx)
	if err := answer.Error(); err != nil {
		return nil, err
	}
	body, err := answer.Raw()
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return body, nil
}
