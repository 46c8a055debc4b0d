package controllers_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

const (
	documents = "../docs"
	samples   = "../config/samples"
)

var _ = Describe("The documents", func() {
	DescribeTable("show Webhooks that are accepted", func(ctx context.Context, document string) {
		examples := webhooksIn(document)
		Expect(examples).NotTo(BeEmpty())
		for _, example := range examples {
			ExpectAcceptedExample(ctx, example)
		}
	},
		Entry("that of authentication", "authentication.md"),
		Entry("that of Webhooks", "webhooks.md"),
		Entry("the first", "../README.md"),
	)

	It("advise for each provider what is accepted", func(ctx context.Context) {
		rows := rowsOf(read(filepath.Join(documents, "authentication.md")), "| scheme | where the provider has the key |")
		Expect(rows).To(HaveLen(len(auth.Schemes())))
		for i, row := range rows {
			scheme, deduplicate := codeIn(row[0])[0], codeIn(row[2])[0]
			ExpectAcceptedExample(ctx, objectsIn(fmt.Sprintf("{apiVersion: hookstorm.dev/v1alpha1, kind: Webhook, metadata: {name: x%d}, "+
				"spec: {url: x%d, auth: [{signature: {scheme: %s, %s}}], deduplicate: %s}}", i, i, scheme, needed(scheme), deduplicate))[0])
		}
	})

	It("name every field of a Webhook", func() {
		text := read(filepath.Join(documents, "webhooks.md"))
		Expect(firstColumn(text, "| field of `spec` |")).To(Equal(fieldsOf(reflect.TypeFor[v1alpha1.WebhookSpec](), nested)))
		Expect(firstColumn(text, "| field of `status` |")).To(ConsistOf(fieldsOf(reflect.TypeFor[v1alpha1.WebhookStatus](), nil)))
	})

	It("name every reason of a condition", func() {
		documented := map[string]bool{}
		for _, document := range []string{"webhooks.md", "rules.md"} {
			for _, text := range codeIn(read(filepath.Join(documents, document))) {
				documented[text] = true
			}
		}
		var missing []string
		for name, reason := range reasons() {
			if !documented[reason] {
				missing = append(missing, name)
			}
		}
		Expect(missing).To(BeEmpty(), "are neither in webhooks.md nor in rules.md")
	})

	It("say what to do for everything that may be wrong with what a Webhook refers to", func() {
		var advised string
		for _, row := range rowsOf(read(filepath.Join(documents, "authentication.md")), "| you see | it means | do |") {
			advised += row[0]
		}
		var listed string
		for _, row := range rowsOf(read(filepath.Join(documents, "webhooks.md")), "| condition | False because |") {
			if strings.Contains(row[0], v1alpha1.ConditionResolvedRefs) {
				listed = row[1]
			}
		}
		given := reasonsOfReferences()
		Expect(given).NotTo(BeEmpty())
		for _, reason := range given {
			Expect(codeIn(advised)).To(ContainElement(reason), "authentication.md")
			Expect(codeIn(listed)).To(ContainElement(reason), "webhooks.md")
		}
	})

	It("name the webhook that the first Rule registers, which no sample does", func(ctx context.Context) {
		text := read(filepath.Join(documents, "../README.md"))
		first := objectsIn(yamlBlock.FindStringSubmatch(text)[1])[0]
		ExpectCreatedStrictly(ctx, first)
		var rule v1alpha1.Rule
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(first), &rule)).To(Succeed())
		name := regexp.MustCompile(`kubectl get webhook (\S+)`).FindStringSubmatch(text)[1]
		ExpectCondition(ctx, aWebhook(name, ""), v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted, "")
		Expect(text).To(ContainSubstring("kubectl get ti -l " + v1alpha1.LabelWebhook + "=" + name + " "))
		files, err := filepath.Glob(filepath.Join(samples, "*.yaml"))
		Expect(err).NotTo(HaveOccurred())
		for _, file := range files {
			Expect(read(file)).NotTo(ContainSubstring("url: "+rule.WebhookURL()), file)
		}
	})
})

var _ = Describe("The samples of Webhooks", func() {
	files, err := filepath.Glob(filepath.Join(samples, "webhook_*.yaml"))
	if err != nil || len(files) == 0 {
		panic("there are no samples")
	}
	for _, file := range files {
		It(filepath.Base(file)+" is applied with the others, and is ready", func(ctx context.Context) {
			Expect(read(filepath.Join(samples, "kustomization.yaml"))).To(ContainSubstring("- " + filepath.Base(file) + "\n"))
			var names []string
			for _, object := range objectsIn(read(file)) {
				ExpectCreatedStrictly(ctx, object)
				if object.GetKind() == "Webhook" {
					names = append(names, object.GetName())
				}
			}
			Expect(names).NotTo(BeEmpty())
			for _, name := range names {
				ExpectCondition(ctx, aWebhook(name, ""), v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
			}
		})
	}
})

// needed are the fields of an entry signature that a scheme needs.
func needed(scheme string) string {
	switch v1alpha1.SignatureScheme(scheme) {
	case v1alpha1.SchemeAWSSNS:
		return "sns: {topicARNs: ['arn:aws:sns:eu-west-1:123456789012:builds']}"
	case v1alpha1.SchemeCustom:
		return "secretRef: {name: keys}, custom: {header: X-Signature}"
	default:
		return "secretRef: {name: keys}"
	}
}

// ExpectAcceptedExample creates a Webhook in the spec's namespace and waits until it is accepted; its Secrets may be missing.
func ExpectAcceptedExample(ctx context.Context, example *unstructured.Unstructured) {
	GinkgoHelper()
	ExpectCreatedStrictly(ctx, example)
	ExpectCondition(ctx, aWebhook(example.GetName(), ""), v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted, "")
}

// ExpectCreatedStrictly creates an object in the spec's namespace; as with kubectl, the server refuses unknown fields.
func ExpectCreatedStrictly(ctx context.Context, object *unstructured.Unstructured) {
	GinkgoHelper()
	object.SetNamespace(namespace)
	Expect(client.WithFieldValidation(k8s, metav1.FieldValidationStrict).Create(ctx, object)).To(Succeed())
}

// reasons returns the reasons that the API has, by the names of their constants.
func reasons() map[string]string {
	GinkgoHelper()
	file, err := parser.ParseFile(token.NewFileSet(), "../api/v1alpha1/condition_types.go", nil, parser.SkipObjectResolution)
	Expect(err).NotTo(HaveOccurred())
	all := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
			return true
		}
		all[spec.Names[0].Name], err = strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		Expect(err).NotTo(HaveOccurred())
		return false
	})
	Expect(all).NotTo(BeEmpty())
	return all
}

// reasonsOfReferences returns the reasons for which the code of this package calls unresolved.
func reasonsOfReferences() []string {
	GinkgoHelper()
	files, err := filepath.Glob("*.go")
	Expect(err).NotTo(HaveOccurred())
	all := reasons()
	var given []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		Expect(err).NotTo(HaveOccurred())
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if called, ok := call.Fun.(*ast.SelectorExpr); ok && called.Sel.Name == "unresolved" {
				given = append(given, all[call.Args[0].(*ast.SelectorExpr).Sel.Name])
			}
			return true
		})
	}
	return given
}

func read(file string) string {
	GinkgoHelper()
	text, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// webhooksIn returns the Webhooks in a document.
func webhooksIn(document string) []*unstructured.Unstructured {
	GinkgoHelper()
	var webhooks []*unstructured.Unstructured
	for _, block := range yamlBlock.FindAllStringSubmatch(read(filepath.Join(documents, document)), -1) {
		for _, object := range objectsIn(block[1]) {
			if object.GetKind() == "Webhook" {
				webhooks = append(webhooks, object)
			}
		}
	}
	return webhooks
}

// objectsIn returns the objects of a text in YAML.
func objectsIn(text string) []*unstructured.Unstructured {
	GinkgoHelper()
	var objects []*unstructured.Unstructured
	for part := range strings.SplitSeq(text, "\n---\n") {
		object := &unstructured.Unstructured{}
		Expect(yaml.UnmarshalStrict([]byte(part), &object.Object)).To(Succeed(), part)
		objects = append(objects, object)
	}
	return objects
}

var code = regexp.MustCompile("`([^`]*)`")

// codeIn returns what is written as code in a text.
func codeIn(text string) []string {
	var parts []string
	for _, match := range code.FindAllStringSubmatch(text, -1) {
		parts = append(parts, match[1])
	}
	return parts
}

// rowsOf returns the cells of the rows of the table whose head begins with a text.
func rowsOf(text, head string) [][]string {
	GinkgoHelper()
	_, table, found := strings.Cut(text, "\n"+head)
	Expect(found).To(BeTrue(), "there is no table %s", head)
	table, _, _ = strings.Cut(table, "\n\n")
	var rows [][]string
	for _, row := range strings.Split(table, "\n")[2:] {
		rows = append(rows, strings.Split(strings.Trim(row, "|"), "|"))
	}
	return rows
}

// firstColumn returns what is written as code in the first cells of a table.
func firstColumn(text, head string) []string {
	GinkgoHelper()
	var names []string
	for _, row := range rowsOf(text, head) {
		names = append(names, codeIn(row[0])...)
	}
	return names
}

// nested are the fields of a Webhook's spec whose own fields are documented one by one.
var nested = []string{"allowedRules", "deduplicate", "body", "handshakes", "limits", "history"}

// fieldsOf returns the names of a struct's fields in the API, and below those that are nested those of theirs.
func fieldsOf(t reflect.Type, nested []string) []string {
	var names []string
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !slices.Contains(nested, name) {
			names = append(names, name)
			continue
		}
		for _, below := range fieldsOf(field.Type.Elem(), nil) {
			names = append(names, name+"."+below)
		}
	}
	return names
}
