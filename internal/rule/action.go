package rule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/expression"
)

// action is one compiled action: the whole of it as one tree, so that every string of it may be a template.
type action struct {
	name       string
	dispatches bool
	tree       *expression.Tree
}

// literals are the fields of an action that hold no templates, as paths: they say what is acted on, and with whose
// credentials.
var literals = []string{
	"name",
	"create.ifExists", "create.template.apiVersion", "create.template.kind", "create.template.metadata.namespace",
	"apply.template.apiVersion", "apply.template.kind", "apply.template.metadata.namespace",
	"patch.type", "patch.target.apiVersion", "patch.target.kind", "patch.target.namespace",
	"delete.target.apiVersion", "delete.target.kind", "delete.target.namespace",
	"http.method", "http.timeout", "http.cloudEvents", "http.sign.name", "http.sign.key",
	"http.auth.bearer.name", "http.auth.bearer.key", "http.auth.basic.name",
	"http.auth.header.header", "http.auth.header.name", "http.auth.header.key",
}

// Rendered is one action of a rule with its templates replaced.
type Rendered struct {
	// Name of the action.
	Name string
	// Action is what is to be done; nil if Err is not.
	Action *v1alpha1.Action
	// Err says why a template could not be replaced.
	Err error
}

func compileActions(declared []v1alpha1.Action) ([]action, error) {
	actions := make([]action, 0, len(declared))
	var errs []error
	for i := range declared {
		compiled, err := compileAction(&declared[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("spec.actions[%d] (%s): %w", i, declared[i].Name, err))
			continue
		}
		actions = append(actions, compiled)
	}
	return actions, errors.Join(errs...)
}

func compileAction(declared *v1alpha1.Action) (action, error) {
	document, err := json.Marshal(declared)
	if err != nil {
		return action{}, fmt.Errorf("encoding: %w", err)
	}
	tree, err := expression.CompileTree(document, literals...)
	if err := errors.Join(err, check(declared)); err != nil {
		return action{}, err
	}
	return action{name: declared.Name, dispatches: declared.Dispatch != nil, tree: tree}, nil
}

// check says what the API server cannot: what is wrong with templates of objects, with urls and with triggers.
func check(a *v1alpha1.Action) error {
	switch {
	case a.Create != nil:
		return checkObject("create.template", a.Create.Template.Raw, false)
	case a.Apply != nil:
		return checkObject("apply.template", a.Apply.Template.Raw, true)
	case a.Patch != nil:
		return checkPatch(a.Patch)
	case a.HTTP != nil:
		return errors.Join(checkURL(a.HTTP.URL), checkBody(a.HTTP.Body))
	case a.Dispatch != nil:
		return checkDispatch(a.Dispatch)
	default:
		return nil
	}
}

func checkObject(field string, document []byte, named bool) error {
	var object struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(document, &object); err != nil {
		return fmt.Errorf("%s: write an object with apiVersion, kind and metadata: %w", field, err)
	}
	switch {
	case object.APIVersion == "":
		return fmt.Errorf("%s.apiVersion: required, such as batch/v1", field)
	case object.Kind == "":
		return fmt.Errorf("%s.kind: required, such as Job", field)
	case named && object.Metadata.Name == "":
		return fmt.Errorf("%s.metadata.name: required, because what is applied has a name", field)
	}
	return nil
}

func checkPatch(p *v1alpha1.PatchAction) error {
	begins, want := byte('{'), "an object"
	if p.Type == v1alpha1.PatchJSON {
		begins, want = '[', "a list of operations"
	}
	if document := strings.TrimSpace(string(p.Patch.Raw)); document == "" || document[0] != begins {
		return fmt.Errorf("patch.patch: a patch of type %s is %s", p.Type, want)
	}
	return nil
}

// checkURL makes sure that what is called depends on the Rule alone: a payload may choose path and query, not the host.
func checkURL(url string) error {
	scheme, rest, found := strings.Cut(url, "://")
	host := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		host = rest[:end]
	}
	switch {
	case !found || !slices.Contains([]string{"http", "https"}, strings.ToLower(scheme)):
		return errors.New("http.url: begin with http:// or https://")
	case expression.IsTemplate(host):
		return errors.New("http.url: host and port hold no templates; write https://host/ and templates after it")
	case host == "" || strings.Contains(host, "@"):
		return errors.New("http.url: write a host after the scheme, without a user name; credentials belong in auth")
	}
	return nil
}

func checkBody(b *v1alpha1.HTTPBody) error {
	if b == nil {
		return nil
	}
	set := 0
	for _, has := range []bool{b.JSON != nil, b.Form != nil, b.Text != nil} {
		if has {
			set++
		}
	}
	if set != 1 {
		return errors.New("http.body: set exactly one of json, form, text")
	}
	return nil
}

func checkDispatch(d *v1alpha1.DispatchAction) error {
	if d.Trigger == v1alpha1.TriggerWebhook {
		return fmt.Errorf("dispatch.trigger: %s comes from webhooks only; choose a name such as mypack.mytrigger", v1alpha1.TriggerWebhook)
	}
	return nil
}

// Acts reports whether the rule has actions.
func (r *Rule) Acts() bool { return len(r.actions) > 0 }

// Dispatches returns how many of the actions dispatch another trigger.
func (r *Rule) Dispatches() int {
	n := 0
	for i := range r.actions {
		if r.actions[i].dispatches {
			n++
		}
	}
	return n
}

// ActionNames returns the names of the actions, in order.
func (r *Rule) ActionNames() []string {
	names := make([]string, len(r.actions))
	for i := range r.actions {
		names[i] = r.actions[i].name
	}
	return names
}

// Render returns the actions that are to be done for a trigger that the rule matched. One that cannot be rendered hides no
// other.
func (r *Rule) Render(ctx context.Context, in *Input) []Rendered {
	rendered := make([]Rendered, len(r.actions))
	scope := in.scope(r)
	for i := range r.actions {
		rendered[i] = r.actions[i].render(ctx, scope)
	}
	return rendered
}

func (a *action) render(ctx context.Context, scope *expression.Scope) (rendered Rendered) {
	rendered.Name = a.name
	defer func() {
		if p := recover(); p != nil {
			rendered.Action, rendered.Err = nil, fmt.Errorf("replacing its templates panicked: %v", p)
		}
	}()
	value, err := a.tree.Render(ctx, scope)
	if err != nil {
		rendered.Err = err
		return rendered
	}
	rendered.Action, rendered.Err = decodeAction(value)
	return rendered
}

// decodeAction turns a rendered tree into an action. A field whose template gave a value of another type is an error.
func decodeAction(value any) (*v1alpha1.Action, error) {
	document, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encoding what the templates gave: %w", err)
	}
	var decoded v1alpha1.Action
	if err := json.Unmarshal(document, &decoded); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return nil, fmt.Errorf("%s: needs a %s, and its template gave a %s; convert it with string(…)", wrong.Field, wrong.Type.Kind(), wrong.Value)
		}
		return nil, fmt.Errorf("reading what the templates gave: %w", err)
	}
	return &decoded, nil
}
