package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// kubectl runs kubectl as the administrator, and returns what it prints.
func kubectl(ctx context.Context, arguments ...string) string {
	GinkgoHelper()
	printed, err := env.Kubectl.Run(ctx, arguments...)
	Expect(err).NotTo(HaveOccurred())
	return printed
}

// Apply applies manifests with kubectl into a namespace.
func Apply(ctx context.Context, namespace string, manifests ...string) {
	GinkgoHelper()
	kubectl(ctx, "apply", "--namespace", namespace, "--filename", write(manifests...))
}

// ApplyServerSide applies a manifest as another way of kubectl does.
func ApplyServerSide(ctx context.Context, namespace, manifest string) {
	GinkgoHelper()
	kubectl(ctx, "apply", "--server-side", "--namespace", namespace, "--filename", write(manifest))
}

// Delete deletes an object, such as "rule/on-push".
func Delete(ctx context.Context, namespace, object string) {
	GinkgoHelper()
	kubectl(ctx, "delete", object, "--namespace", namespace, "--wait=false")
}

// Patch merges a patch in YAML into an object.
func Patch(ctx context.Context, namespace, object, patch string) {
	GinkgoHelper()
	kubectl(ctx, "patch", object, "--namespace", namespace, "--type", "merge", "--patch", patch)
}

// write writes manifests to a file of the spec.
func write(manifests ...string) string {
	GinkgoHelper()
	file := filepath.Join(GinkgoT().TempDir(), "manifests.yaml")
	Expect(os.WriteFile(file, []byte(strings.Join(manifests, "\n---\n")), 0o600)).To(Succeed())
	return file
}

// Table runs kubectl get, and returns the row of each object by its name; a column is found by its header.
func Table(ctx context.Context, arguments ...string) map[string]map[string]string {
	GinkgoHelper()
	lines := strings.Split(strings.TrimSpace(kubectl(ctx, append([]string{"get"}, arguments...)...)), "\n")
	headers := strings.Fields(lines[0])
	rows := map[string]map[string]string{}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range strings.Fields(line) {
			row[headers[i]] = cell
		}
		rows[row["NAME"]] = row
	}
	return rows
}

// webhook returns a Webhook's manifest; spec is in YAML's flow style, such as "url: a, suspend: true".
func webhook(name, spec string) string { return object("Webhook", name, spec) }

// ruleAt returns the manifest of a Rule that registers the webhook at a url; criteria are in YAML's flow style.
func ruleAt(name, url, criteria string) string {
	return object("Rule", name, fmt.Sprintf("trigger: {type: %s, parameters: {url: %q}}, criteria: {%s}", v1alpha1.TriggerWebhook, url, criteria))
}

// ruleFor returns the manifest of a Rule for a trigger.
func ruleFor(name, trigger, criteria string) string {
	return object("Rule", name, fmt.Sprintf("trigger: {type: %s}, criteria: {%s}", trigger, criteria))
}

func object(kind, name, spec string) string {
	return fmt.Sprintf("apiVersion: hookstorm.dev/v1alpha1\nkind: %s\nmetadata: {name: %q}\nspec: {%s}\n", kind, name, spec)
}

// tokenSecret returns the manifest of a Secret whose keys are tokens; keys and annotations are in YAML's flow style.
func tokenSecret(name, keys, annotations string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %q, labels: {%s: %s}, annotations: {%s}}\nstringData: {%s}\n",
		name, v1alpha1.LabelAuth, v1alpha1.AuthToken, annotations, keys)
}
