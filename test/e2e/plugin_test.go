package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
)

var _ = Describe("kubectl hookstorm", Ordered, func() {
	var path string // kubectl finds plug-ins there

	BeforeAll(func() {
		plugin, err := gexec.Build("github.com/hookstorm/hookstorm/cmd/kubectl-hookstorm")
		Expect(err).NotTo(HaveOccurred())
		path = filepath.Dir(plugin)
	})

	// hookstormPlugin runs the plug-in through kubectl, and returns what it prints and its exit code.
	hookstormPlugin := func(ctx context.Context, arguments ...string) (string, int) {
		GinkgoHelper()
		command := exec.CommandContext(ctx, env.Kubectl.Path, append([]string{"hookstorm"}, arguments...)...)
		command.Env = append(os.Environ(), "PATH="+path+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+env.Kubectl.Kubeconfig)
		command.Stderr = GinkgoWriter
		printed, err := command.Output()
		if err != nil {
			Expect(err).To(BeAssignableToTypeOf(&exec.ExitError{}))
		}
		return string(printed), command.ProcessState.ExitCode()
	}

	It("says which recorded deliveries a Rule would have matched", func(ctx context.Context) {
		Apply(ctx, namespace, ruleAt("live", namespace, ""))
		ExpectReady(ctx, ruleNamed(namespace, "live"))
		first := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(namespace), `{"a": 1}`)))
		second := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(namespace), `{"a": 2}`)))
		file := write(ruleAt("tried", namespace, "trigger.body.a: {type: eq, pattern: 2}"))

		printed, code := hookstormPlugin(ctx, "test", "-f", file, "-n", namespace, "--last", "2", "-o", "json")
		Expect(code).To(Equal(0), printed)
		matched := map[string]bool{}
		for line := range strings.Lines(printed) {
			var one struct {
				TriggerInstance string
				Matched         bool
			}
			Expect(json.Unmarshal([]byte(line), &one)).To(Succeed(), line)
			matched[one.TriggerInstance] = one.Matched
		}
		Expect(matched).To(Equal(map[string]bool{first.Name: false, second.Name: true}))

		_, code = hookstormPlugin(ctx, "test", "-f", file, "-n", namespace, "--against", first.Name)
		Expect(code).To(Equal(1))
	})

	It("converts a rule of StackStorm to one that is live", func(ctx context.Context) {
		target := newTarget(0)
		file := filepath.Join(GinkgoT().TempDir(), "rule.yaml")
		Expect(os.WriteFile(file, []byte(`
name: tell
pack: mypack
enabled: true
trigger:
  type: core.st2.webhook
  parameters: {url: `+namespace+`}
criteria:
  trigger.body.name: {type: eq, pattern: "{{ trigger.body.other }}"}
action:
  ref: core.http
  parameters: {url: "`+target.URL+`/told", method: POST, body: "hello {{ trigger.body.name }}"}
`), 0o600)).To(Succeed())
		printed, code := hookstormPlugin(ctx, "convert", "-f", file)
		Expect(code).To(Equal(0), printed)
		Apply(ctx, namespace, printed)
		ExpectReady(ctx, ruleNamed(namespace, "mypack-tell"))
		ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(namespace), `{"name": "a", "other": "a"}`)))
		Eventually(ctx, target.keys).Should(HaveKey("hello a"))
	})
})
