package action

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// written are the parameters of whatever writes: a field that its kind does not have is refused rather than dropped, as
// kubectl does.
func written() map[string]string {
	return map[string]string{"fieldManager": v1alpha1.ManagedByHookStorm, "fieldValidation": metav1.FieldValidationStrict}
}

// create creates an object. Where it exists it is looked at: a delivery that is processed twice finds its own.
func (r *Runner) create(ctx context.Context, t *Task, a *v1alpha1.CreateAction) (Result, error) {
	o, err := readObject(a.Template.Raw)
	if err != nil {
		return Result{}, err
	}
	name := o.Metadata.Name
	if name == "" {
		name = t.ObjectName(o.Metadata.GenerateName)
	}
	to, err := r.api.target(ctx, t, o.APIVersion, o.Kind, o.Metadata.Namespace, name)
	if err != nil {
		return Result{}, err
	}
	o.address(to)
	o.mark(t)
	o.annotate(annotationAction, t.IdempotencyKey())
	body, err := o.encode()
	if err != nil {
		return Result{}, err
	}
	_, err = r.api.send(ctx, to, request{verb: http.MethodPost, collection: true, parameters: written(), body: body})
	switch {
	case err == nil:
		return Result{Object: to.String()}, nil
	case !apierrors.IsAlreadyExists(err):
		return Result{}, r.api.refused(err, to)
	case a.IfExists == v1alpha1.IfExistsKeep:
		return Result{Object: to.String(), Message: "it exists already and is kept"}, nil
	default:
		return r.existing(ctx, t, to, o.Metadata.Name == "")
	}
}

// existing decides what an object that exists already means: that the action was done before, or that somebody else has the
// name. A derived name is the action's alone, so a ServiceAccount that may create but not get needs no more for it.
func (r *Runner) existing(ctx context.Context, t *Task, to *target, derived bool) (Result, error) {
	done := Result{Object: to.String(), Message: "it was created at an earlier attempt"}
	body, err := r.api.send(ctx, to, request{verb: http.MethodGet})
	switch {
	case apierrors.IsNotFound(err):
		return Result{}, passing(ReasonAlreadyExists, "%s existed, and was deleted meanwhile", to)
	case err != nil:
		failure := r.api.refused(err, to)
		if derived && failure.Reason == ReasonForbidden {
			return done, nil
		}
		return Result{}, failure
	}
	var held unstructured.Unstructured
	if err := held.UnmarshalJSON(body); err != nil {
		return Result{}, passing(ReasonUnavailable, "reading %s: %v", to, err)
	}
	if held.GetAnnotations()[annotationAction] == t.IdempotencyKey() {
		return done, nil
	}
	failure := final(ReasonAlreadyExists, "%s exists already, %s; choose another name, or ifExists: Keep", to, holder(&held))
	failure.Retryable = held.GetDeletionTimestamp() != nil
	return Result{}, failure
}

// holder says who has created an object.
func holder(held *unstructured.Unstructured) string {
	if action := held.GetAnnotations()[annotationAction]; action != "" {
		return "created by action " + action + " of Rule " + v1alpha1.LabelValue(held, v1alpha1.LabelRule)
	}
	if managers := held.GetManagedFields(); len(managers) > 0 {
		return "created by " + managers[0].Manager
	}
	return "created by somebody else"
}

// apply applies an object, server-side.
func (r *Runner) apply(ctx context.Context, t *Task, a *v1alpha1.ApplyAction) (Result, error) {
	o, err := readObject(a.Template.Raw)
	if err != nil {
		return Result{}, err
	}
	if o.Metadata.Name == "" {
		return Result{}, final(ReasonInvalid, "template.metadata.name: required, because what is applied has a name")
	}
	to, err := r.api.target(ctx, t, o.APIVersion, o.Kind, o.Metadata.Namespace, o.Metadata.Name)
	if err != nil {
		return Result{}, err
	}
	o.address(to)
	o.mark(t)
	body, err := o.encode()
	if err != nil {
		return Result{}, err
	}
	parameters := written()
	parameters["force"] = strconv.FormatBool(a.Force)
	// JSON is YAML.
	_, err = r.api.send(ctx, to, request{verb: http.MethodPatch, patch: types.ApplyYAMLPatchType, parameters: parameters, body: body})
	return r.outcome(err, to)
}

// patch patches an object that exists.
func (r *Runner) patch(ctx context.Context, t *Task, a *v1alpha1.PatchAction) (Result, error) {
	formats := map[v1alpha1.PatchType]types.PatchType{
		"":                      types.MergePatchType,
		v1alpha1.PatchMerge:     types.MergePatchType,
		v1alpha1.PatchJSON:      types.JSONPatchType,
		v1alpha1.PatchStrategic: types.StrategicMergePatchType,
	}
	format, ok := formats[a.Type]
	if !ok {
		return Result{}, final(ReasonInvalid, "patch.type: %q is none of Merge, JSON and Strategic", a.Type)
	}
	if err := checkSize("patch.patch", a.Patch.Raw); err != nil {
		return Result{}, err
	}
	to, err := r.existingTarget(ctx, t, &a.Target)
	if err != nil {
		return Result{}, err
	}
	_, err = r.api.send(ctx, to, request{verb: http.MethodPatch, patch: format, parameters: written(), body: a.Patch.Raw})
	return r.outcome(err, to)
}

// delete deletes an object, and what it owns in the background. That it is gone is what was wanted.
func (r *Runner) delete(ctx context.Context, t *Task, a *v1alpha1.DeleteAction) (Result, error) {
	to, err := r.existingTarget(ctx, t, &a.Target)
	if err != nil {
		return Result{}, err
	}
	background := map[string]string{"propagationPolicy": string(metav1.DeletePropagationBackground)}
	_, err = r.api.send(ctx, to, request{verb: http.MethodDelete, parameters: background})
	result, err := r.outcome(err, to)
	if failure, ok := errors.AsType[*Failure](err); ok && failure.Reason == ReasonNotFound {
		return Result{Object: to.String(), Message: "it was gone already"}, nil
	}
	return result, err
}

func (r *Runner) existingTarget(ctx context.Context, t *Task, o *v1alpha1.ObjectTarget) (*target, error) {
	if o.Name == "" {
		return nil, final(ReasonInvalid, "target.name: required; its template gave no text")
	}
	return r.api.target(ctx, t, o.APIVersion, o.Kind, o.Namespace, o.Name)
}

// outcome is what a request that writes the target came to.
func (r *Runner) outcome(err error, to *target) (Result, error) {
	if err != nil {
		return Result{}, r.api.refused(err, to)
	}
	return Result{Object: to.String()}, nil
}
