package action

import (
	"encoding/json"
	"errors"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// maxObject bounds what is sent of an object, encoded: a payload of any size must not fill etcd, which takes 1.5 MiB.
const maxObject = 256 << 10

// object is an object to be written.
type object struct {
	header
	content unstructured.Unstructured
}

// header is the part of an object that an action reads and writes.
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
func (o *object) mark(t *Task, annotations map[string]string) {
	labels := map[string]string{}
	annotated := map[string]string{}
	maps.Copy(labels, o.Metadata.Labels)
	maps.Copy(annotated, o.Metadata.Annotations)
	maps.Copy(annotated, annotations)
	for key, value := range t.labels() {
		labels[key] = labelValue(value)
		if labels[key] != value {
			annotated[key] = value
		}
	}
	o.content.SetLabels(labels)
	o.content.SetAnnotations(annotated)
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
