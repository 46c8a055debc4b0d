package action_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
)

// What a real API server does is tried on one, in the suite; here is what it cannot be made to do.

// creation is an action that creates an object.
func creation() v1alpha1.Action {
	return v1alpha1.Action{Create: &v1alpha1.CreateAction{Template: raw(`{"apiVersion":"v1","kind":"ConfigMap"}`)}}
}

// faulty starts an API server that knows ConfigMaps and answers everything about them with one handler.
func faulty(t *testing.T, handler http.HandlerFunc, change ...func(*action.Options)) (r *action.Runner, questions *atomic.Int32) {
	t.Helper()
	questions = new(atomic.Int32)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/apis/") {
			questions.Add(1)
			http.NotFound(w, r)
			return
		}
		if r.URL.Path != "/api/v1" {
			handler(w, r)
			return
		}
		questions.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(metav1.APIResourceList{APIResources: []metav1.APIResource{
			{Name: "configmaps", Kind: "ConfigMap", Namespaced: true},
			{Name: "configmaps/scale", Kind: "Scale", Namespaced: true},
		}})
	})
	change = append(change, func(o *action.Options) { o.Config = &rest.Config{Host: server.URL} })
	return newRunner(t, change...), questions
}

// answer is a handler that answers with a Status.
func answer(code int32, reason metav1.StatusReason, message string, retryAfter int32) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(retryAfter))
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(code))
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: code, Reason: reason, Message: message,
			Details: &metav1.StatusDetails{Kind: "configmaps", RetryAfterSeconds: retryAfter},
		})
	}
}

func TestAnOutageIsToldFromWhatOneRequestCauses(t *testing.T) {
	const impersonating = `configmaps is forbidden: User "system:serviceaccount:hookstorm-system:hookstorm" cannot `
	tests := map[string]struct {
		handler http.HandlerFunc
		want    action.Failure
	}{
		"too many requests": {
			answer(429, metav1.StatusReasonTooManyRequests, "slow down", 3),
			action.Failure{Reason: "Unavailable", Message: "the API server is not available: slow down", Retryable: true, Outage: true, After: 3 * time.Second},
		},
		"it is not ready": {
			answer(503, metav1.StatusReasonServiceUnavailable, "starting", 0),
			action.Failure{Reason: "Unavailable", Message: "the API server is not available: starting", Retryable: true, Outage: true},
		},
		"it timed out": {
			answer(504, metav1.StatusReasonTimeout, "timed out", 0),
			action.Failure{Reason: "Unavailable", Message: "the API server is not available: timed out", Retryable: true, Outage: true},
		},
		"its store is full": {
			answer(500, metav1.StatusReasonInternalError, "etcdserver: mvcc: database space exceeded", 0),
			action.Failure{Reason: "Unavailable", Message: "the API server is not available: etcdserver: mvcc: database space exceeded", Retryable: true, Outage: true},
		},
		"an admission webhook fails": {
			answer(500, metav1.StatusReasonInternalError, `failed calling webhook "x.example"`, 0),
			action.Failure{Reason: "Unavailable", Message: `the API server: failed calling webhook "x.example"`, Retryable: true},
		},
		"HookStorm's token ended": {
			answer(401, metav1.StatusReasonUnauthorized, "Unauthorized", 0),
			action.Failure{Reason: "Unavailable", Message: "the API server does not accept HookStorm's own credentials", Retryable: true, Outage: true},
		},
		"it hangs up": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			action.Failure{Reason: "Unavailable", Message: "the API server does not answer: EOF", Retryable: true, Outage: true},
		},
		"two writers at the same time": {
			answer(409, metav1.StatusReasonConflict, "the object has been modified", 0),
			action.Failure{Reason: "Conflict", Message: "configmap/on-push-act-qvqgfkxgxy in ci: the object has been modified", Retryable: true},
		},
		"an object that cannot be read": {
			answer(400, metav1.StatusReasonBadRequest, "ConfigMap in version \"v1\" cannot be handled: strict decoding error: unknown field \"a\x1b[31m\u202e\"", 0),
			action.Failure{Reason: "Invalid", Message: `configmap/on-push-act-qvqgfkxgxy in ci: strict decoding error: unknown field "a [31m "`},
		},
		"an object that is invalid": {
			answer(422, metav1.StatusReasonInvalid, "data: Invalid value: \"\x1b[31m\u202e\"", 0),
			action.Failure{Reason: "Invalid", Message: "configmap/on-push-act-qvqgfkxgxy in ci: the API server refuses it (422 Invalid)"},
		},
		"a quota of which nothing is known yet": {
			answer(403, metav1.StatusReasonForbidden, `configmaps "x" is forbidden: status unknown for quota: q`, 0),
			action.Failure{Reason: "QuotaExceeded", Message: `configmaps "x" is forbidden: status unknown for quota: q`, Retryable: true},
		},
		"an admission plug-in that refuses": {
			answer(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: violates PodSecurity "restricted"`, 0),
			action.Failure{Reason: "Denied", Message: `pods "x" is forbidden: violates PodSecurity "restricted"`},
		},
		"HookStorm may not impersonate": {
			answer(403, metav1.StatusReasonForbidden, impersonating+`impersonate resource "serviceaccounts" in API group ""`, 0),
			action.Failure{Reason: "ActionsNotAllowed", Message: notAllowed("ci")},
		},
		"HookStorm may not impersonate, in the words of constrained impersonation": {
			answer(403, metav1.StatusReasonForbidden, impersonating+`impersonate-on:serviceaccount:create resource "configmaps" in API group ""`, 0),
			action.Failure{Reason: "ActionsNotAllowed", Message: notAllowed("ci")},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			r, _ := faulty(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				test.handler(w, r)
			})
			_, failure := run(t, r, aTask(creation()))
			if diff := cmp.Diff(&test.want, failure); diff != "" {
				t.Error(diff)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests were made, want 1: when to try again is the caller's to say", n)
			}
		})
	}
}

// notAllowed is how a namespace is told that HookStorm may not act in it.
func notAllowed(namespace string) string {
	return "HookStorm may not act as ServiceAccounts of namespace " + namespace + "; allow it with: kubectl create rolebinding " +
		"hookstorm-actions -n " + namespace + " --clusterrole=hookstorm-actions --serviceaccount=hookstorm-system:hookstorm"
}

func TestAnAPIServerThatIsNotThereIsAnOutage(t *testing.T) {
	_, failure := run(t, newRunner(t), aTask(creation()))
	if failure == nil || !failure.Outage || !failure.Retryable || !strings.Contains(failure.Message, "connection refused") {
		t.Errorf("the failure is %+v, want an outage", failure)
	}
}

func TestEveryRequestAboutAnObjectIsMadeAsTheServiceAccountAlone(t *testing.T) {
	var seen []string
	r, _ := faulty(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.Path+" "+r.Header.Get("Impersonate-User"))
		for name := range r.Header {
			if strings.HasPrefix(name, "Impersonate-") && name != "Impersonate-User" {
				t.Errorf("the request has %s: %s", name, r.Header.Get(name))
			}
		}
		answer(409, metav1.StatusReasonAlreadyExists, "exists", 0)(w, r)
	})
	_, _ = run(t, r, aTask(creation()))
	defaulted := aTask(v1alpha1.Action{Delete: &v1alpha1.DeleteAction{
		Target: v1alpha1.ObjectTarget{APIVersion: "v1", Kind: "ConfigMap", Name: "x", Namespace: "elsewhere"},
	}})
	defaulted.ServiceAccount = ""
	_, _ = run(t, r, defaulted)
	want := []string{
		"POST /api/v1/namespaces/ci/configmaps system:serviceaccount:ci:builder",
		"GET /api/v1/namespaces/ci/configmaps/on-push-act-qvqgfkxgxy system:serviceaccount:ci:builder",
		"DELETE /api/v1/namespaces/elsewhere/configmaps/x system:serviceaccount:ci:default",
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestServiceAccountsShareConnections(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"resources":[{"name":"configmaps","kind":"ConfigMap","namespaced":true}]}`))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	r := newRunner(t, func(o *action.Options) {
		o.Config = &rest.Config{Host: server.URL, Transport: &http.Transport{}}
	})
	for i := range 100 {
		task := aTask(creation())
		task.ServiceAccount = fmt.Sprintf("builder-%d", i)
		if _, failure := run(t, r, task); failure != nil {
			t.Fatalf("the action failed: %v", failure)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections were made, want 1", n)
	}
}

func TestACallerThatGivesUpOnTheAPIServerInterruptsTheAction(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, _ := faulty(t, func(_ http.ResponseWriter, r *http.Request) {
		// Only a server that has read the body learns that the client is gone.
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	_, err := r.Run(ctx, aTask(creation()))
	want := &action.Failure{
		Reason: action.ReasonInterrupted, Message: "the API server does not answer: the time for it ended", Retryable: true, Outage: true,
	}
	if diff := cmp.Diff(want, failureOf(t, err)); diff != "" {
		t.Error(diff)
	}
}

func TestAnAccountThatCannotBeOneIsNotImpersonated(t *testing.T) {
	r, _ := faulty(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	for _, account := range []string{"a:b", "../x", "a/b", "A", "a b", "x\r\nImpersonate-Group: system:masters"} {
		task := aTask(creation())
		task.ServiceAccount = account
		if _, failure := run(t, r, task); failure == nil || failure.Reason != action.ReasonInvalid || failure.Retryable {
			t.Errorf("the failure of %q is %+v, want Invalid, for good", account, failure)
		}
	}
}

func TestWhatNamesNoObjectIsNotSent(t *testing.T) {
	target := func(apiVersion, kind, namespace, name string) v1alpha1.Action {
		return v1alpha1.Action{Delete: &v1alpha1.DeleteAction{Target: v1alpha1.ObjectTarget{
			APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name,
		}}}
	}
	create := func(template string) v1alpha1.Action {
		return v1alpha1.Action{Create: &v1alpha1.CreateAction{Template: raw(template)}}
	}
	apply := func(template string) v1alpha1.Action {
		return v1alpha1.Action{Apply: &v1alpha1.ApplyAction{Template: raw(template)}}
	}
	large := strings.Repeat("x", 256<<10)
	tests := map[string]struct {
		action v1alpha1.Action
		want   string
	}{
		"a path as a name":          {target("v1", "ConfigMap", "", "../../kube-system/configmaps/x"), "metadata.name: "},
		"a name with a slash":       {target("v1", "ConfigMap", "", "a/b"), "metadata.name: "},
		"dots as a name":            {target("v1", "ConfigMap", "", ".."), "metadata.name: "},
		"an encoded name":           {target("v1", "ConfigMap", "", "%2e%2e"), "metadata.name: "},
		"a name that quotes":        {target("v1", "ConfigMap", "", `a" is forbidden: User "x" cannot impersonate`), "metadata.name: "},
		"no name":                   {target("v1", "ConfigMap", "", ""), "target.name: required"},
		"a name that is too long":   {target("v1", "ConfigMap", "", strings.Repeat("x", 254)), "metadata.name: "},
		"a path as a namespace":     {target("v1", "ConfigMap", "../x", "a"), "metadata.namespace: "},
		"a path as a group":         {target("../x/v1", "ConfigMap", "", "a"), "apiVersion: "},
		"a path as a version":       {target("batch/..", "Job", "", "a"), "apiVersion: "},
		"no version":                {target("batch/", "Job", "", "a"), "apiVersion: "},
		"no apiVersion":             {target("", "ConfigMap", "", "a"), "apiVersion: "},
		"no kind":                   {target("v1", "", "", "a"), "kind: required"},
		"a template that is a list": {create(`[]`), "template"},
		"no template":               {create(`null`), "template: write an object"},
		"a number as a name":        {create(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":7}}`), "template.metadata.name: needs a string and is a number; convert it with string(…)"},
		"a number as a label":       {create(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"labels":{"a":7}}}`), "needs a string and is a number"},
		"text as metadata":          {create(`{"apiVersion":"v1","kind":"ConfigMap","metadata":"x"}`), "template.metadata: "},
		"an object that is large":   {create(`{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"` + large + `"}}`), "and at most 262144 are written"},
		"a large one to apply":      {apply(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"` + large + `"}}`), "and at most 262144 are written"},
		"a nameless one to apply":   {apply(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"a"}}`), "template.metadata.name: required"},
		"a large patch": {v1alpha1.Action{Patch: &v1alpha1.PatchAction{
			Target: v1alpha1.ObjectTarget{APIVersion: "v1", Kind: "ConfigMap", Name: "a"}, Patch: raw(`{"a":"` + large + `"}`),
		}}, "patch.patch: "},
		"a patch of an unknown type": {v1alpha1.Action{Patch: &v1alpha1.PatchAction{
			Target: v1alpha1.ObjectTarget{APIVersion: "v1", Kind: "ConfigMap", Name: "a"}, Type: "XML", Patch: raw(`{}`),
		}}, "patch.type: "},
	}
	r, _ := faulty(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, failure := run(t, r, aTask(test.action))
			if failure == nil || failure.Reason != action.ReasonInvalid || failure.Retryable || !strings.Contains(failure.Message, test.want) {
				t.Errorf("the failure is %+v, want Invalid, for good, and that it says %q", failure, test.want)
			}
		})
	}
}

func TestAKindIsAskedForOnceAndOneThatIsUnknownNowAndThen(t *testing.T) {
	now := clock
	r, questions := faulty(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"ConfigMap"}`))
	}, func(o *action.Options) { o.Now = func() time.Time { return now } })
	unknown := v1alpha1.Action{Create: &v1alpha1.CreateAction{Template: raw(`{"apiVersion":"example.org/v1","kind":"Thing"}`)}}
	steps := []struct {
		later  time.Duration
		action v1alpha1.Action
		fails  bool
		want   int32
	}{
		{0, creation(), false, 1},
		{0, creation(), false, 1},
		{time.Hour, creation(), false, 1},
		{0, unknown, true, 2},
		{4 * time.Second, unknown, true, 2},
		{time.Second, unknown, true, 3},
	}
	for i, step := range steps {
		now = now.Add(step.later)
		_, failure := run(t, r, aTask(step.action))
		if step.fails != (failure != nil) || questions.Load() != step.want {
			t.Fatalf("step %d: the failure is %+v after %d questions, want one: %t, and %d", i, failure, questions.Load(), step.fails, step.want)
		}
		if step.fails && (failure.Reason != action.ReasonKindUnknown || !failure.Retryable) {
			t.Errorf("step %d: the failure is %+v, want KindUnknown and retryable", i, failure)
		}
	}
}

func TestARunnerThatImpersonatesIsRefused(t *testing.T) {
	config := &rest.Config{Host: "http://127.0.0.1:1", Impersonate: rest.ImpersonationConfig{UserName: "admin"}}
	if _, err := action.New(action.Options{Config: config}); err == nil {
		t.Error("a Runner was made")
	}
}
