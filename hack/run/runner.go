package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/hookstorm/hookstorm/hack/cluster"
)

// readyTimeout is how long the manager may take to be ready: it reads its queue first, which may be long.
const readyTimeout = 2 * time.Minute

// directoryHash is how many bytes of a hash tell the clusters apart that one developer has.
const directoryHash = 4

// runner holds what was started.
type runner struct {
	cluster *cluster.Cluster // nil with the cluster that KUBECONFIG names
	kubectl cluster.Kubectl
	state   string // this cluster's directory
	manager *cluster.Process
}

// start does the steps, each of which needs the one before.
func (r *runner) start(ctx context.Context) error {
	if err := r.connect(ctx); err != nil {
		return err
	}
	say("Applying config/local ...")
	if err := r.kubectl.Apply(ctx, "config/local"); err != nil {
		return err
	}
	say("Starting HookStorm ...")
	return r.startManager(ctx)
}

// connect starts a control plane, or installs the CRDs in the cluster that KUBECONFIG names. Each cluster has its own directory:
// what was accepted for one is not dispatched in another.
func (r *runner) connect(ctx context.Context) (err error) {
	assets, err := cluster.Assets()
	if err != nil {
		return err
	}
	if file := os.Getenv("KUBECONFIG"); file != "" {
		say("Using the cluster of KUBECONFIG=" + file)
		if r.state, err = directoryOf(file); err != nil {
			return err
		}
		r.kubectl = cluster.Kubectl{Path: filepath.Join(assets, "kubectl")}
		if err := os.MkdirAll(r.state, 0o700); err != nil {
			return fmt.Errorf("making %s: %w", r.state, err)
		}
		return r.kubectl.InstallCRDs(ctx)
	}
	full := cluster.HasControllerManager(assets)
	if !full {
		say("There is no kube-controller-manager in " + assets + ": Jobs will make no Pods, and nothing is garbage collected.")
	}
	say("Starting a control plane ...")
	r.state = filepath.Join(stateDir, "local")
	r.cluster, err = cluster.Start(ctx, cluster.Options{Dir: filepath.Join(r.state, "cluster"), ControllerManager: full})
	if err != nil {
		return err
	}
	r.kubectl = r.cluster.Kubectl
	return nil
}

// directoryOf returns the directory of the cluster that a kubeconfig names. Its address tells clusters apart, since one file may
// name many, and many files one.
func directoryOf(kubeconfig string) (string, error) {
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(kubeconfig)}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return "", fmt.Errorf("reading KUBECONFIG=%s: %w", kubeconfig, err)
	}
	sum := sha256.Sum256([]byte(config.Host))
	return filepath.Join(stateDir, "kubeconfig-"+hex.EncodeToString(sum[:directoryHash])), nil
}

// startManager starts HookStorm as its ServiceAccount, so that it may do here what it may do in a cluster.
func (r *runner) startManager(ctx context.Context) error {
	kubeconfig := filepath.Join(r.state, "manager.kubeconfig")
	if err := r.kubectl.WriteServiceAccountKubeconfig(ctx, systemNamespace, serviceAccount, kubeconfig); err != nil {
		return err
	}
	health, err := cluster.FreeAddress()
	if err != nil {
		return err
	}
	r.manager, err = cluster.Launch("hookstorm", os.Stderr, managerBinary,
		"--kubeconfig="+kubeconfig,
		"--webhook-bind-address="+webhookAddress,
		"--health-probe-bind-address="+health,
		"--metrics-bind-address=0",
		"--data-dir="+filepath.Join(r.state, "data"),
		"--system-namespace="+systemNamespace,
	)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return r.manager.WaitReady(ctx, "http://"+health+"/readyz")
}

// wait returns when somebody stops the run, or with an error when a process ends by itself.
func (r *runner) wait(ctx context.Context) error {
	ended := make(chan *cluster.Process)
	for _, process := range r.processes() {
		go func() {
			<-process.Done()
			select {
			case ended <- process:
			case <-ctx.Done():
			}
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case process := <-ended:
		return fmt.Errorf("%s ended by itself: %s", process.Name, process.Outcome())
	}
}

// processes returns what runs, in the order of its start.
func (r *runner) processes() []*cluster.Process {
	var processes []*cluster.Process
	if r.cluster != nil {
		processes = r.cluster.Processes()
	}
	if r.manager != nil {
		processes = append(processes, r.manager)
	}
	return processes
}

// stop stops the manager first, so that it can still write what it has done.
func (r *runner) stop() error {
	say("Stopping ...")
	var errs []error
	if r.manager != nil {
		errs = append(errs, r.manager.Stop())
	}
	if r.cluster != nil {
		errs = append(errs, r.cluster.Stop())
	}
	return errors.Join(errs...)
}

// sayWhatToTry prints the kubeconfig's place and the first things to do.
func (r *runner) sayWhatToTry(output io.Writer) {
	kubeconfig := r.kubectl.Kubeconfig
	if kubeconfig == "" {
		kubeconfig = os.Getenv("KUBECONFIG")
	}
	fmt.Fprintf(output, whatToTry, webhookAddress, kubeconfig, filepath.Dir(r.kubectl.Path), webhookAddress, webhookAddress)
}

const whatToTry = `
HookStorm serves webhooks on http://%s. Ctrl-C stops it. In another terminal:

  export KUBECONFIG=%s PATH="$PATH:%s"

  curl -X POST http://%s/webhooks/st2 -H "X-Auth-Token: matoken" -H "Content-Type: application/json" --data '{"trigger": "mypack.mytrigger", "payload": {"attribute1": "value1"}}'

  curl -X POST http://%s/v1/webhooks/sample -H "X-Auth-Token: matoken" -H "Content-Type: application/json" --data '{"key1": "value1"}'

  kubectl get webhooks --all-namespaces
  kubectl get rules --all-namespaces
  kubectl get triggerinstances --all-namespaces

`

// say tells what is happening; the programs' own output is on stderr too.
func say(line string) { fmt.Fprintln(os.Stderr, line) }
