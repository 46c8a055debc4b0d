package e2e_test

import (
	"context"
	"os/exec"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

var _ = Describe("The manifests", func() {
	for kustomization, kind := range map[string]string{"config/default": "StatefulSet", "config/nats": "Deployment"} {
		It("of "+kustomization+" are accepted, and start HookStorm with flags that it has", func(ctx context.Context) {
			kubectl(ctx, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--kustomize", kustomization)

			found := 0
			for manifest := range strings.SplitSeq(kubectl(ctx, "kustomize", kustomization), "\n---\n") {
				var object unstructured.Unstructured
				Expect(yaml.Unmarshal([]byte(manifest), &object.Object)).To(Succeed())
				if object.GetKind() != kind {
					continue
				}
				found++
				template, _, err := unstructured.NestedMap(object.Object, "spec", "template")
				Expect(err).NotTo(HaveOccurred())
				var pod corev1.PodTemplateSpec
				Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod)).To(Succeed())
				// Flags are read in order, and --help ends the process only when those before it were understood.
				arguments := append(pod.Spec.Containers[0].Args, "--help")
				output, err := exec.CommandContext(ctx, binary, arguments...).CombinedOutput()
				Expect(err).NotTo(HaveOccurred(), string(output))
			}
			Expect(found).To(Equal(1), "%s has %d objects of kind %s", kustomization, found, kind)
		})
	}
})
