package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// tokenLifetime is longer than anybody develops without a restart; a cluster may grant less.
const tokenLifetime = "8760h"

// Kubectl runs kubectl against one cluster.
type Kubectl struct {
	// Path of the program.
	Path string
	// Kubeconfig is the file that says which cluster, and as whom. Empty: what the environment says.
	Kubeconfig string
}

// Run runs kubectl with the arguments in the module's root, and returns what it prints.
func (k Kubectl) Run(ctx context.Context, arguments ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, k.Path, arguments...)
	if k.Kubeconfig != "" {
		command.Env = append(os.Environ(), "KUBECONFIG="+k.Kubeconfig)
	}
	command.Dir = root
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches it through ctx
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", strings.Join(arguments, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// Apply applies kustomizations of the module, such as config/crd, one after the other.
func (k Kubectl) Apply(ctx context.Context, kustomizations ...string) error {
	for _, kustomization := range kustomizations {
		if _, err := k.Run(ctx, "apply", "--server-side", "--force-conflicts", "-k", kustomization); err != nil {
			return err
		}
	}
	return nil
}

// InstallCRDs applies the CRDs and returns when the API server serves them.
func (k Kubectl) InstallCRDs(ctx context.Context) error {
	if err := k.Apply(ctx, "config/crd"); err != nil {
		return err
	}
	_, err := k.Run(ctx, "wait", "--for=condition=Established", "--timeout=30s", "-f", "config/crd/bases")
	return err
}

// WriteServiceAccountKubeconfig writes a kubeconfig for the same cluster as a ServiceAccount, with a token that the API
// server makes for it: what a pod of that ServiceAccount may do, and no more.
func (k Kubectl) WriteServiceAccountKubeconfig(ctx context.Context, namespace, name, file string) error {
	token, err := k.Run(ctx, "create", "token", name, "--namespace", namespace, "--duration="+tokenLifetime)
	if err != nil {
		return err
	}
	view, err := k.Run(ctx, "config", "view", "--raw", "--minify", "--flatten")
	if err != nil {
		return err
	}
	config, err := clientcmd.Load([]byte(view))
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	user := &clientcmdapi.AuthInfo{Token: strings.TrimSpace(token)}
	config.AuthInfos = map[string]*clientcmdapi.AuthInfo{name: user}
	config.Contexts[config.CurrentContext].AuthInfo = name
	return writeKubeconfig(config, file)
}

// writeKubeconfig writes a file that only its owner can read.
func writeKubeconfig(config *clientcmdapi.Config, file string) error {
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}
