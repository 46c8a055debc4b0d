package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/kubernetes"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// writtenByHookStorm are the resources of a namespace in which something of a request could be.
var writtenByHookStorm = []string{
	"apis/hookstorm.dev/v1alpha1/namespaces/%s/webhooks",
	"apis/hookstorm.dev/v1alpha1/namespaces/%s/rules",
	"apis/hookstorm.dev/v1alpha1/namespaces/%s/triggertypes",
	"apis/hookstorm.dev/v1alpha1/namespaces/%s/triggerinstances",
	"apis/events.k8s.io/v1/namespaces/%s/events",
	"apis/batch/v1/namespaces/%s/jobs",
	"api/v1/namespaces/%s/configmaps",
}

// objectsOf returns the objects of a namespace that HookStorm writes, as the API server has them.
func objectsOf(ctx context.Context, namespace string) map[string][]byte {
	GinkgoHelper()
	paths := make([]string, 0, len(writtenByHookStorm))
	for _, path := range writtenByHookStorm {
		paths = append(paths, fmt.Sprintf(path, namespace))
	}
	return lists(ctx, paths)
}

// allObjects returns all objects of all types that can be listed, but Secrets.
func allObjects(ctx context.Context) map[string][]byte {
	GinkgoHelper()
	clients, err := kubernetes.NewForConfig(env.Config())
	Expect(err).NotTo(HaveOccurred())
	groups, err := clients.Discovery().ServerPreferredResources()
	Expect(err).NotTo(HaveOccurred())
	var paths []string
	for _, group := range groups {
		root := "apis/"
		if group.GroupVersion == "v1" {
			root = "api/"
		}
		for _, resource := range group.APIResources {
			if slices.Contains(resource.Verbs, "list") && resource.Name != "secrets" {
				paths = append(paths, root+group.GroupVersion+"/"+resource.Name)
			}
		}
	}
	return lists(ctx, paths)
}

// lists returns what the API server answers to some paths.
func lists(ctx context.Context, paths []string) map[string][]byte {
	GinkgoHelper()
	clients, err := kubernetes.NewForConfig(env.Config())
	Expect(err).NotTo(HaveOccurred())
	answers := map[string][]byte{}
	for _, path := range paths {
		answers[path], err = clients.CoreV1().RESTClient().Get().AbsPath(path).DoRaw(ctx)
		Expect(err).NotTo(HaveOccurred())
	}
	return answers
}

// QueueFiles returns the files of the data directory.
func (s *server) QueueFiles() map[string][]byte {
	GinkgoHelper()
	found := map[string][]byte{}
	Expect(filepath.WalkDir(s.dataDir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			found["queue "+path], err = os.ReadFile(path)
		}
		if os.IsNotExist(err) {
			return nil // the queue removes what is done
		}
		return err
	})).To(Succeed())
	return found
}

// everything returns all that others than the owners of Secrets may read.
func everything(ctx context.Context) map[string][]byte {
	GinkgoHelper()
	places := allObjects(ctx)
	maps.Copy(places, hookstorm.QueueFiles())
	log, _ := hookstorm.Log(0)
	places["log"], places["metrics"] = []byte(log), hookstorm.Metrics(ctx)
	return places
}

var _ = Describe("The search for credentials", func() {
	It("finds what is planted, in each of the places", func(ctx context.Context) {
		random := make([]byte, 16)
		rand.Read(random)
		planted := "planted-" + hex.EncodeToString(random)
		var known vault
		known.add("planted", planted)
		known.add("logged", `"msg":"Starting workers"`)
		known.add("measured", "go_goroutines ")

		// What is done with leaves the queue within a second or two; what waits for its second attempt stays.
		target := newTarget(0)
		target.setDown(true)
		Apply(ctx, namespace, webhook("hook", "url: "+namespace+", description: "+planted),
			acting("call", namespace, `{name: call, http: {url: "`+target.URL+`"}}`, ", retry: {attempts: 2, backoff: {initial: 1m}}"))
		ExpectReady(ctx, webhookNamed(namespace, "hook"))
		ExpectReady(ctx, ruleNamed(namespace, "call"))
		ExpectPhase(ctx, namespace, ExpectAccepted(ctx, post(short(namespace), fmt.Sprintf(`{"a": %q}`, planted))), v1alpha1.PhaseProcessing)
		kubectl(ctx, "create", "configmap", "encoded", "--namespace", namespace,
			"--from-literal=a="+base64.StdEncoding.EncodeToString([]byte("before it: "+planted+", and after")))

		places := map[string]bool{}
		for _, found := range known.find(everything(ctx)) {
			kind, _, _ := strings.Cut(found.Place, " ")
			places[kind+": "+found.Name] = true
		}
		Expect(places).To(And(
			HaveKey("apis/hookstorm.dev/v1alpha1/webhooks: planted"),
			HaveKey("apis/hookstorm.dev/v1alpha1/triggerinstances: planted"),
			HaveKey("api/v1/configmaps: planted"),
			HaveKey("queue: planted"),
			HaveKey("log: logged"),
			HaveKey("metrics: measured"),
		))
		Expect(known.find(objectsOf(ctx, namespace))).To(ContainElements(
			HaveField("Place", HaveSuffix("/webhooks")), HaveField("Place", HaveSuffix("/triggerinstances"))))
	})

	It("knows what Secrets hold", func(ctx context.Context) {
		token := "not-noted-by-" + namespace
		Apply(ctx, namespace, tokenSecret("keys", "key: "+token, ""))
		Eventually(ctx, func() []leak {
			return credentials.find(map[string][]byte{"here": []byte("a " + token)})
		}).Should(ConsistOf(leak{"key key of Secret " + namespace + "/keys", "here"}))
	})
})

// After all specs nothing of their credentials is left anywhere, while requests with some of them are under way.
var _ = AfterSuite(func(ctx context.Context) {
	if hookstorm == nil || hookstorm.process == nil {
		return // the suite did not begin
	}
	if !hookstorm.Running() {
		hookstorm.Start(ctx)
	}
	begin := time.Now()
	places := everything(ctx)
	under := beginWithCredentials(ctx)
	_, mark := hookstorm.Log(0)
	hookstorm.Quit(ctx)
	dump, _ := hookstorm.Log(mark)
	places["dump"] = []byte(dump)
	Expect(dump).To(And(ContainSubstring("SIGQUIT"), ContainSubstring("goroutine 1 ")))
	Expect(strings.Count(dump, "webhookserver.(*handler).ServeHTTP(")).To(BeNumerically(">=", under))
	maps.Copy(places, hookstorm.QueueFiles())

	ExpectNoCredential(places)
	AddReportEntry("search", fmt.Sprintf("%s; at last in %d places, among them a dump of %d goroutines with %d requests under way, in %.1f s",
		&credentials, len(places), strings.Count(dump, "\ngoroutine "), under, time.Since(begin).Seconds()), ReportEntryVisibilityAlways)
}, NodeTimeout(2*time.Minute))

// beginWithCredentials sends requests with credentials of all kinds whose bodies do not come, and returns how many.
func beginWithCredentials(ctx context.Context) int {
	GinkgoHelper()
	namespace := makeNamespace(ctx)
	key := canary("signing key")
	Apply(ctx, namespace, signingSecret("keys", key), webhook("hook", "url: "+namespace+", "+
		"auth: [{signature: {scheme: GitHub, secretRef: {name: keys}}}, {tokens: {}}, {basic: {secretRef: {name: none}}}, {anonymous: {}}]"))
	ExpectServed(ctx, short(namespace))
	lines := []string{
		"X-Hub-Signature-256: sha256=" + hexMAC(key, "{}"),
		"X-Auth-Token: " + systemToken,
		"St2-Api-Key: " + canary("api key"),
		"Authorization: Bearer " + canary("bearer token"),
		"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+canary("password"))),
		"Cookie: session=" + canary("cookie"),
		"Proxy-Authorization: Basic " + canary("proxy"),
	}
	for _, line := range lines {
		ExpectContinue(ctx, short(namespace)+"?x-auth-token="+canary("query token"), line)
	}
	return len(lines)
}

// ExpectContinue sends the head of a request with one more line, and waits until HookStorm waits for its body.
func ExpectContinue(ctx context.Context, target, line string) {
	GinkgoHelper()
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", hookstorm.address)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { connection.Close() })
	Expect(connection.SetDeadline(time.Now().Add(20 * time.Second))).To(Succeed())
	_, err = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: hookstorm\r\nContent-Type: application/json\r\n%s\r\n"+
		"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n", target, line)
	Expect(err).NotTo(HaveOccurred())
	answer := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	_, err = connection.Read(answer)
	Expect(err).NotTo(HaveOccurred())
	Expect(string(answer)).To(Equal("HTTP/1.1 100 Continue\r\n\r\n"))
}
