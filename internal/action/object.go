package action

import (
	"encoding/json"
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// maxObject bounds what is sent of an object, encoded: a payload of any size must not fill etcd, which takes 1.5 MiB.
const maxObject = 256 << 10

// object is an object to be written.
type object struct {
	header
	content unstructured.Unstructured
}

// header is the part of an object that an action reads, or has to know that it can change.
type header struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
}

type metadata struct {
	Name         string            `json:"name"`
	GenerateName string            `json:"generateName"`
	Namespace    string            `json:"namespace"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
}

// readObject reads a template whose templates are replaced.
func readObject(document []byte) (*object, error) {
	var o object
	// Names and labels that are no text are refused, lest they be taken for none.
	if err := utiljson.Unmarshal(document, &o.header); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, final(ReasonInvalid, "template.%s: needs a %s and is a %s; convert it with string(…)", wrong.Field, wrong.Type, wrong.Value)
		}
		return nil, final(ReasonInvalid, "template: %v", err)
	}
	if err := utiljson.Unmarshal(document, &o.content.Object); err != nil {
		return nil, final(ReasonInvalid, "template: %v", err)
	}
	if o.content.Object == nil {
		return nil, final(ReasonInvalid, "template: write an object with apiVersion, kind and metadata")
	}
	if o.content.Object["metadata"] == nil {
		o.content.Object["metadata"] = map[string]any{}
	}
	return &o, nil
}

// address gives the object its name and namespace.
func (o *object) address(t *target) {
	o.content.SetName(t.name)
	o.content.SetGenerateName("")
	o.content.SetNamespace(t.namespace)
}

// mark labels the object as the task's.
func (o *object) mark(t *Task) {
	for key, value := range t.labels() {
		v1alpha1.SetLabel(&o.content, key, value)
	}
}

// annotate sets an annotation.
func (o *object) annotate(key, value string) {
	annotations := o.content.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	o.content.SetAnnotations(annotations)
}

// encode returns the object as it is sent.
func (o *object) encode() ([]byte, error) {
	body, err := json.Marshal(o.content.Object)
	if err != nil {
		return nil, final(ReasonInvalid, "template: %v", err)
	}
	return body, checkSize("template", body)
}

// checkSize makes sure that what is sent of an object is not too large.
func checkSize(field string, body []byte) error {
	if len(body) > maxObject {
		return final(ReasonInvalid, "%s: %d bytes, and at most %d are written", field, len(body), maxObject)
	}
	return nil
}
