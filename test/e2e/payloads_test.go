package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// payloadModule has real payloads of many providers in its directory testdata. It is a requirement of payloadModuleOf, so that it
// is none of HookStorm.
const (
	payloadModule   = "github.com/go-playground/webhooks/v6"
	payloadModuleOf = "../providers"
)

// refusedPayloads are those that are no good JSON, with what their senders are told.
var refusedPayloads = map[string]string{
	"gitlab/build-event.json": "git_ssh_url", // its repository has this name twice, of which readers take different ones
}

// payloadSender is how the payloads in one directory are sent.
type payloadSender struct {
	directory string
	auth      string // an entry of spec.auth
	// send returns the request with a payload; file is its name without .json.
	send func(path, file, body string) request
}

// payloadSenders returns the senders with their credentials, and the manifests of these.
func payloadSenders() (senders []payloadSender, manifests []string) {
	key, token, password := canary("signing key"), canary("query token"), canary("password")
	manifests = []string{
		signingSecret("keys", key), tokenSecret("tokens", "token: "+token, ""), basicSecret("login", "ci", password),
	}
	gitea, gogs := customHex("X-Gitea-Signature"), customHex("X-Gogs-Signature")
	signed := func(directory string, p *provider, eventHeader string, event func(file, body string) string) payloadSender {
		return payloadSender{directory, p.auth("keys"), func(path, file, body string) request {
			return p.post(key, path, body).with(eventHeader, event(file, body))
		}}
	}
	return []payloadSender{
		signed("github", providerOf("GitHub"), "X-GitHub-Event", underscored),
		signed("gitlab", providerOf("GitLab"), "X-Gitlab-Event", gitlabEvent),
		signed("bitbucket", providerOf("Bitbucket"), "X-Event-Key", bitbucketEvent),
		signed("bitbucket-server", providerOf("Bitbucket"), "X-Event-Key", bitbucketEvent),
		signed("gitea", gitea, "X-Gitea-Event", underscored),
		signed("gogs", gogs, "X-Gogs-Event", underscored),
		{"docker", "{tokens: {secretRef: {name: tokens}}}", func(path, _, body string) request {
			return post(path+"?x-auth-token="+token, body).as("")
		}},
		{"azuredevops", "{basic: {secretRef: {name: login}}}", func(path, _, body string) request {
			return post(path, body).authorized(login("ci", password))
		}},
	}, manifests
}

// customHex is a provider that signs as Gitea does, in a header of its own.
func customHex(name string) *provider {
	return &provider{scheme: "Custom", fields: ", custom: {header: " + name + "}", sign: signHex(name, "")}
}

// underscored is the event of a file such as pull-request.json or push-event.json.
func underscored(file, _ string) string {
	return strings.ReplaceAll(strings.TrimSuffix(file, "-event"), "-", "_")
}

// gitlabEvent is what GitLab says of a payload, such as Push Hook.
func gitlabEvent(file, body string) string {
	if strings.HasPrefix(file, "system-") {
		return "System Hook"
	}
	var kind struct {
		Kind string `json:"object_kind"`
	}
	_ = json.Unmarshal([]byte(body), &kind) // a payload without it has no event
	words := strings.Split(kind.Kind, "_")
	for i, word := range words {
		words[i] = strings.ToUpper(word[:min(1, len(word))]) + word[min(1, len(word)):]
	}
	return strings.Join(append(words, "Hook"), " ")
}

// bitbucketEvent is the key of a file such as repo-push.json or pull-request-created.json: repo:push, pullrequest:created.
func bitbucketEvent(file, _ string) string {
	file = strings.Replace(file, "pull-request", "pullrequest", 1)
	object, event, _ := strings.Cut(file, "-")
	return object + ":" + strings.ReplaceAll(event, "-", "_")
}

// payloadDirectory returns the directory with the payloads, which the go command fetches as it does all modules.
func payloadDirectory(ctx context.Context) string {
	GinkgoHelper()
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", payloadModule)
	command.Dir = payloadModuleOf
	command.Stderr = GinkgoWriter
	printed, err := command.Output()
	Expect(err).NotTo(HaveOccurred(), string(printed))
	var module struct{ Dir string }
	Expect(json.Unmarshal(printed, &module)).To(Succeed())
	return filepath.Join(module.Dir, "testdata")
}

var _ = Describe("Real payloads", func() {
	It("of many providers, signed as they do, are taken and recorded as they were sent", func(ctx context.Context) {
		senders, manifests := payloadSenders()
		for _, s := range senders {
			manifests = append(manifests, webhook(s.directory, "url: "+namespace+"/"+s.directory+", auth: ["+s.auth+"]"))
		}
		Apply(ctx, namespace, manifests...)

		root := payloadDirectory(ctx)
		bodies := map[string]string{} // by the delivery
		refused := 0
		for _, s := range senders {
			ExpectReady(ctx, webhookNamed(namespace, s.directory))
			files, err := filepath.Glob(filepath.Join(root, s.directory, "*.json"))
			Expect(err).NotTo(HaveOccurred())
			Expect(files).NotTo(BeEmpty(), s.directory)
			for _, file := range files {
				content, err := os.ReadFile(file)
				Expect(err).NotTo(HaveOccurred())
				name := filepath.Base(file)
				a, err := hookstorm.send(ctx, s.send(short(namespace+"/"+s.directory), strings.TrimSuffix(name, ".json"), string(content)))
				Expect(err).NotTo(HaveOccurred())
				if why, bad := refusedPayloads[s.directory+"/"+name]; bad {
					Expect(a.status).To(Equal(http.StatusBadRequest), file)
					Expect(a.body).To(ContainSubstring(why))
					refused++
					continue
				}
				Expect(a.status).To(Equal(http.StatusAccepted), "%s: %s", file, a.body)
				bodies[a.Delivery()] = string(bytes.TrimSpace(content))
			}
		}
		Expect(len(bodies)).To(BeNumerically(">=", 150))
		Expect(refused).To(Equal(len(refusedPayloads)))

		Eventually(ctx, func() int { return len(Records(ctx, namespace, "")) }).Should(Equal(len(bodies)))
		size := 0
		for _, record := range Records(ctx, namespace, "") {
			Expect(record.Spec.PayloadSize).To(BeEquivalentTo(len(record.Spec.Payload)), "%s is cut", record.Name)
			Expect(string(payload(record).Body)).To(Equal(bodies[record.Spec.DeliveryID]), record.Name)
			size += len(bodies[record.Spec.DeliveryID])
		}
		AddReportEntry("payloads", fmt.Sprintf("%d payloads of %d senders with %d KiB were taken and recorded as they were sent; %d refused: %v",
			len(bodies), len(senders), size>>10, refused, refusedPayloads), ReportEntryVisibilityAlways)
	})
})
