package cluster_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/hack/cluster"
)

func TestASecondStartFindsTheDataOfTheFirst(t *testing.T) {
	dir := t.TempDir()
	first := start(t, cluster.Options{Dir: dir})
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept", Namespace: metav1.NamespaceDefault}}
	if err := connect(t, first.Config()).Create(t.Context(), kept); err != nil {
		t.Fatalf("creating: %v", err)
	}
	processes := first.Processes()
	if err := first.Stop(); err != nil {
		t.Fatalf("stopping: %v", err)
	}
	for _, process := range processes {
		select {
		case <-process.Done():
		default:
			t.Errorf("%s still runs after Stop", process.Name)
		}
	}

	second := start(t, cluster.Options{Dir: dir, Policy: true})
	if err := connect(t, second.Config()).Get(t.Context(), client.ObjectKeyFromObject(kept), kept); err != nil {
		t.Errorf("reading what the first wrote: %v", err)
	}
	if err := connect(t, second.As("mallory")).Delete(t.Context(), kept); client.IgnoreNotFound(err) == nil {
		t.Error("a user without any right deleted an object")
	}
	crds, err := second.Kubectl.Run(t.Context(), "get", "crd", "--output=name")
	if err != nil || strings.Count(crds, "hookstorm.dev") != 4 {
		t.Errorf("listing the CRDs with kubectl: %q, %v; want HookStorm's four", crds, err)
	}
}

func start(t *testing.T, options cluster.Options) *cluster.Cluster {
	t.Helper()
	started, err := cluster.Start(t.Context(), options)
	if err != nil {
		t.Fatalf("starting: %v", err)
	}
	t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return started
}

func connect(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	connected, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	return connected
}

func TestWithoutBinariesTheErrorSaysWhatToRun(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", "")
	_, err := cluster.Start(context.Background(), cluster.Options{})
	if err == nil || !strings.Contains(err.Error(), "make test") {
		t.Errorf("got %v; want an error that names make test", err)
	}
}
