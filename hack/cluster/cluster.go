// Package cluster runs a Kubernetes control plane for development and for tests: etcd and kube-apiserver, on request also
// kube-controller-manager, out of the directory that KUBEBUILDER_ASSETS names, with HookStorm's CRDs installed. There is no
// node: a Pod is stored and never runs. RBAC holds, as in a real cluster.
//
// It starts the processes itself, not through controller-runtime's envtest, for three things that envtest cannot do: end
// them with the process that started them, tell when one of them ended by itself, and find its data again at the next start.
// It is not safe for concurrent use, but for Config and As.
package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"
)

// startTimeout is how long a process may take to be ready: a machine with two busy processors needs a tenth of it.
const startTimeout = 2 * time.Minute

// The binaries; kubectl is the fourth.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
)

// Options say what Start starts.
type Options struct {
	// Dir keeps the cluster's data, so that a later Start finds it again. Empty: a temporary directory, which Stop removes.
	Dir string

	// ControllerManager also starts kube-controller-manager, without which there are no Jobs and no garbage collection.
	ControllerManager bool

	// Audit has the API server write a line of JSON for each request, which AuditLog returns.
	Audit bool

	// Policy also applies the admission policy of config/policy, and waits until it is in force.
	Policy bool
}

// Cluster is a running control plane.
type Cluster struct {
	// Kubectl runs kubectl as the administrator; its Kubeconfig is a file in the cluster's directory.
	Kubectl Kubectl

	dir       string
	temporary bool
	processes []*Process // in the order of their start
	config    *rest.Config
}

// Start starts a control plane with HookStorm's CRDs. An error leaves nothing behind.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	assets, err := Assets()
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: options.Dir}
	if err := c.start(ctx, assets, options); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// start does the steps of Start, each of which needs the one before.
func (c *Cluster) start(ctx context.Context, assets string, options Options) error {
	if err := c.makeDir(); err != nil {
		return err
	}
	etcdURL, err := c.startEtcd(ctx, assets)
	if err != nil {
		return err
	}
	if err := c.startAPIServer(ctx, assets, etcdURL, options); err != nil {
		return err
	}
	if options.ControllerManager {
		if err := c.startControllerManager(ctx, assets); err != nil {
			return err
		}
	}
	if err := c.Kubectl.InstallCRDs(ctx); err != nil {
		return err
	}
	if options.Policy {
		return c.applyPolicy(ctx)
	}
	return nil
}

// Config returns how to reach the API server as its administrator, without a limit on the rate.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// As returns how to reach the API server as a user, who may do what RBAC grants to him and his groups.
func (c *Cluster) As(user string, groups ...string) *rest.Config {
	config := c.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	return config
}

// Processes returns the running processes, in the order of their start.
func (c *Cluster) Processes() []*Process { return slices.Clone(c.processes) }

// Stop stops everything, last started first, and removes a temporary directory. It may be called again.
func (c *Cluster) Stop() error {
	var errs []error
	for _, process := range slices.Backward(c.processes) {
		errs = append(errs, process.Stop())
	}
	c.processes = nil
	if c.temporary {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

// Assets returns the directory of the control plane's binaries.
func Assets() (string, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		return "", errors.New("KUBEBUILDER_ASSETS is not set: use make test or make run, " +
			`or export KUBEBUILDER_ASSETS="$(make -s controlplane)"`)
	}
	return dir, nil
}

// HasControllerManager reports whether the binaries include kube-controller-manager.
func HasControllerManager(assets string) bool {
	_, err := os.Stat(filepath.Join(assets, controllerManager))
	return err == nil
}

// Root returns the module's root: the nearest directory above the working directory that has a PROJECT file.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the module's root: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "PROJECT")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding the module's root: no PROJECT file in or above %s", start)
		}
	}
}

// FreeAddress returns an address of this machine that nobody listens on now.
func FreeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// makeDir makes the cluster's directory, which only its owner can read.
func (c *Cluster) makeDir() error {
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "hookstorm-cluster-")
		if err != nil {
			return fmt.Errorf("making the cluster's directory: %w", err)
		}
		c.dir, c.temporary = dir, true
	}
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return fmt.Errorf("making the cluster's directory: %w", err)
	}
	c.dir = dir
	for _, part := range []string{"certificates", "log"} {
		if err := os.MkdirAll(c.path(part), 0o700); err != nil {
			return fmt.Errorf("making the cluster's directory: %w", err)
		}
	}
	return nil
}

// path returns a place in the cluster's directory.
func (c *Cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.dir}, elements...)...)
}

// launch starts one of the binaries, its output in a log file, and waits until url answers.
func (c *Cluster) launch(ctx context.Context, assets, name, url string, arguments ...string) error {
	logFile := c.path("log", name+".log")
	output, err := os.Create(logFile)
	if err != nil {
		return fmt.Errorf("making the log of %s: %w", name, err)
	}
	defer func() { _ = output.Close() }()
	process, err := Launch(name, output, filepath.Join(assets, name), arguments...)
	if err != nil {
		return err
	}
	c.processes = append(c.processes, process)

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := process.WaitReady(ctx, url); err != nil {
		return fmt.Errorf("%w (see %s)", err, logFile)
	}
	return nil
}

// startEtcd starts etcd and returns its URL. It fsyncs unless the data is temporary.
func (c *Cluster) startEtcd(ctx context.Context, assets string) (string, error) {
	address, err := FreeAddress()
	if err != nil {
		return "", err
	}
	url := "http://" + address
	return url, c.launch(ctx, assets, etcd, url+"/readyz",
		"--data-dir", c.path("etcd"),
		"--listen-client-urls", url,
		"--advertise-client-urls", url,
		"--listen-peer-urls", "http://127.0.0.1:0",
		fmt.Sprintf("--unsafe-no-fsync=%t", c.temporary),
	)
}

// startAPIServer starts kube-apiserver and fills in config and Kubectl.
func (c *Cluster) startAPIServer(ctx context.Context, assets, etcdURL string, options Options) error {
	address, err := FreeAddress()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("choosing the API server's port: %w", err)
	}
	token, err := c.writeCredentials()
	if err != nil {
		return err
	}
	arguments := []string{
		"--etcd-servers", etcdURL,
		"--bind-address", "127.0.0.1",
		"--secure-port", port,
		"--cert-dir", c.path("certificates"),
		"--authorization-mode", "RBAC",
		"--token-auth-file", c.path("certificates", "tokens.csv"),
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", c.serviceAccountKey(),
		"--service-account-signing-key-file", c.serviceAccountKey(),
		"--service-cluster-ip-range", "10.0.0.0/24",
		// The Service "kubernetes" cannot have an endpoint on the loopback interface, so it has none.
		"--advertise-address", "127.0.0.1",
		"--endpoint-reconciler-type", "none",
	}
	if !options.ControllerManager {
		// Nobody would make the ServiceAccount "default", without which this plug-in admits no Pod.
		arguments = append(arguments, "--disable-admission-plugins", "ServiceAccount")
	}
	if options.Audit {
		policy := c.path("audit-policy.yaml")
		if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
			return fmt.Errorf("writing the audit policy: %w", err)
		}
		arguments = append(arguments, "--audit-policy-file", policy, "--audit-log-path", c.path("log", auditLog))
	}
	url := "https://" + address
	if err := c.launch(ctx, assets, apiServer, url+"/readyz", arguments...); err != nil {
		return err
	}
	c.Kubectl = Kubectl{Path: filepath.Join(assets, "kubectl"), Kubeconfig: c.path("kubeconfig")}
	return c.connect(url, token)
}

// auditPolicy has who did what written, once it is done, but not with what.
const auditPolicy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}`

// auditLog is the name of the log that it is written to.
const auditLog = "audit.log"

// AuditLog returns what a cluster that was started with Audit has written so far.
func (c *Cluster) AuditLog() ([]byte, error) { return os.ReadFile(c.path("log", auditLog)) }

// writeCredentials gives the API server what it needs before its start: the administrator's token, which it returns, and
// the key that signs ServiceAccounts' tokens. Of all that is in the directory of certificates only that key outlives a
// restart, so that such tokens do, and nothing expires.
func (c *Cluster) writeCredentials() (token string, err error) {
	for _, old := range []string{"apiserver.crt", "apiserver.key"} {
		if err := os.RemoveAll(c.path("certificates", old)); err != nil {
			return "", fmt.Errorf("removing the last start's certificate: %w", err)
		}
	}
	random := make([]byte, 16)
	rand.Read(random) // never fails
	token = hex.EncodeToString(random)
	line := token + `,admin,admin,"system:masters"` + "\n"
	if err := os.WriteFile(c.path("certificates", "tokens.csv"), []byte(line), 0o600); err != nil {
		return "", fmt.Errorf("writing the administrator's token: %w", err)
	}
	if _, err := os.Stat(c.serviceAccountKey()); err == nil {
		return token, nil
	}
	key, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return "", fmt.Errorf("making the ServiceAccounts' key: %w", err)
	}
	if err := keyutil.WriteKey(c.serviceAccountKey(), key); err != nil {
		return "", fmt.Errorf("writing the ServiceAccounts' key: %w", err)
	}
	return token, nil
}

func (c *Cluster) serviceAccountKey() string { return c.path("certificates", "service-accounts.key") }

// connect writes the administrator's kubeconfig and reads config from it.
func (c *Cluster) connect(url, token string) error {
	authority, err := os.ReadFile(c.certificate())
	if err != nil {
		return fmt.Errorf("reading the API server's certificate: %w", err)
	}
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["hookstorm"] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: authority}
	kubeconfig.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: token}
	kubeconfig.Contexts["hookstorm"] = &clientcmdapi.Context{Cluster: "hookstorm", AuthInfo: "admin"}
	kubeconfig.CurrentContext = "hookstorm"
	if err := writeKubeconfig(kubeconfig, c.Kubectl.Kubeconfig); err != nil {
		return err
	}
	c.config, err = clientcmd.BuildConfigFromFlags("", c.Kubectl.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	c.config.QPS = -1
	return nil
}

// certificate is the API server's certificate with the authority that signed it, both of its own making.
func (c *Cluster) certificate() string { return c.path("certificates", "apiserver.crt") }

// startControllerManager starts kube-controller-manager as the administrator.
func (c *Cluster) startControllerManager(ctx context.Context, assets string) error {
	address, err := FreeAddress()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("choosing the controller manager's port: %w", err)
	}
	return c.launch(ctx, assets, controllerManager, "https://"+address+"/healthz",
		"--kubeconfig", c.Kubectl.Kubeconfig,
		"--bind-address", "127.0.0.1",
		"--secure-port", port,
		"--service-account-private-key-file", c.serviceAccountKey(),
		"--root-ca-file", c.certificate(),
		"--use-service-account-credentials",
		"--leader-elect=false",
	)
}
