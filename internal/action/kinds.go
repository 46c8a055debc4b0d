package action

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

const (
	// discoveryTimeout bounds the question what a group has, which the API server answers out of memory.
	discoveryTimeout = 5 * time.Second
	// unknownFor is how long it is not asked again for a kind that it did not have, so that Rules with a kind that does not
	// exist do not make each delivery a question.
	unknownFor = 5 * time.Second
)

// kind is a kind of objects, and how the API server serves it.
type kind struct {
	schema.GroupVersionKind
	resource   string
	namespaced bool
}

// path returns the path of the kind's group and version.
func (k kind) path() []string { return groupPath(k.GroupVersion()) }

// String names the kind as kubectl and RBAC do.
func (k kind) String() string {
	if k.Group == "" {
		return k.resource
	}
	return k.resource + "." + k.Group
}

// kinds knows the kinds that the API server serves. It asks as HookStorm itself, one question for each group and version,
// and again for what it does not know: unlike a RESTMapper's, its questions end with the context and hold up nobody else.
type kinds struct {
	client *rest.RESTClient
	now    func() time.Time

	mu     sync.Mutex
	groups map[schema.GroupVersion]group
}

// group is what a group's version had when it was asked for.
type group struct {
	kinds map[string]kind
	asked time.Time
}

func newKinds(c *rest.RESTClient, now func() time.Time) *kinds {
	return &kinds{client: c, now: now, groups: map[schema.GroupVersion]group{}}
}

// find returns a kind.
func (k *kinds) find(ctx context.Context, apiVersion, name string) (kind, error) {
	version, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || version.Version == "" || !isSegment(version.Version) || version.Group != "" && !isSegment(version.Group) {
		return kind{}, final(ReasonInvalid, "apiVersion: %q is none; write one such as batch/v1", apiVersion)
	}
	if name == "" {
		return kind{}, final(ReasonInvalid, "kind: required, such as Job")
	}
	known, fresh := k.look(version)
	if _, ok := known.kinds[name]; !ok && !fresh {
		if known, err = k.ask(ctx, version); err != nil {
			return kind{}, err
		}
	}
	found, ok := known.kinds[name]
	if !ok {
		return kind{}, passing(ReasonKindUnknown, "the API server has no kind %s in %s; correct it, or install its CRD", name, apiVersion)
	}
	return found, nil
}

// look returns what is known of a group, and whether it was asked for so lately that it has no other kinds.
func (k *kinds) look(version schema.GroupVersion) (known group, fresh bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known = k.groups[version]
	return known, k.now().Sub(known.asked) < unknownFor
}

// ask asks what a group has.
func (k *kinds) ask(ctx context.Context, version schema.GroupVersion) (group, error) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	result := k.client.Get().AbsPath(groupPath(version)...).MaxRetries(0).Do(ctx)
	if err := result.Error(); err != nil && !apierrors.IsNotFound(err) {
		return group{}, unavailable(err)
	}
	body, _ := result.Raw() // of a group that does not exist it is no list, and has no resources
	answer := group{kinds: served(version, body), asked: k.now()}

	k.mu.Lock()
	defer k.mu.Unlock()
	for other, g := range k.groups {
		if len(g.kinds) == 0 && k.now().Sub(g.asked) >= unknownFor {
			delete(k.groups, other) // so that what does not exist is not remembered for ever
		}
	}
	k.groups[version] = answer
	return answer, nil
}

// forget makes find ask again for the kinds of a group.
func (k *kinds) forget(version schema.GroupVersion) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.groups, version)
}

// served reads what a group has, without subresources.
func served(version schema.GroupVersion, list []byte) map[string]kind {
	var resources metav1.APIResourceList
	if err := json.Unmarshal(list, &resources); err != nil {
		return nil
	}
	found := map[string]kind{}
	for i := range resources.APIResources {
		r := &resources.APIResources[i]
		if !strings.Contains(r.Name, "/") {
			found[r.Kind] = kind{GroupVersionKind: version.WithKind(r.Kind), resource: r.Name, namespaced: r.Namespaced}
		}
	}
	return found
}

// groupPath returns the path of a group's version.
func groupPath(version schema.GroupVersion) []string {
	if version.Group == "" {
		return []string{"/api", version.Version}
	}
	return []string{"/apis", version.Group, version.Version}
}

func isSegment(text string) bool { return len(content.IsPathSegmentName(text)) == 0 }
