package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/hookstorm/hookstorm/controllers"
	"github.com/hookstorm/hookstorm/internal/outbound"
	"github.com/hookstorm/hookstorm/internal/queue"
)

// options are what the flags say.
type options struct {
	webhookAddress string
	probeAddress   string
	metricsAddress string
	metricsSecure  bool
	metricsCertDir string
	certDir        string
	trustedProxies prefixes
	queue          queue.Options
	cluster        queue.Cluster
	shutdownDelay  time.Duration
	settings       controllers.Settings
	history        controllers.HistoryLimits
	outboundAllow  prefixes
	outboundDeny   prefixes
	log            zap.Options
}

// parseOptions parses and validates the flags.
func parseOptions(args []string) (*options, error) {
	o := &options{history: controllers.DefaultHistoryLimits}
	if err := o.flags().Parse(args); err != nil {
		return nil, err
	}
	o.settings.ExternalURL = strings.TrimRight(o.settings.ExternalURL, "/")
	if o.cluster.URL != "" {
		o.queue.Cluster = &o.cluster
	}
	return o, o.validate()
}

// flags returns the flags, which write into o; docs/operating.md lists them.
func (o *options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("hookstorm", flag.ContinueOnError)
	flags.StringVar(&o.webhookAddress, "webhook-bind-address", ":9101", "where senders post")
	flags.StringVar(&o.certDir, "webhook-tls-cert-dir", "", "a directory with tls.crt and tls.key, read again when they change; empty: webhooks are served without TLS, for an Ingress to add it")
	flags.Var(&o.trustedProxies, "trusted-proxies", "comma-separated networks of proxies whose X-Forwarded-For says who sent a request; none: the sender is who connects")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "where /healthz and /readyz are served")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "where metrics are served; 0: nowhere")
	flags.BoolVar(&o.metricsSecure, "metrics-secure", true, "serve metrics over TLS, to accounts that may get /metrics; false: to anyone")
	flags.StringVar(&o.metricsCertDir, "metrics-cert-dir", "", "a directory with tls.crt and tls.key for metrics; empty: a certificate is made up")
	flags.StringVar(&o.queue.Dir, "data-dir", "/data", "where deliveries are kept until they are processed; one process each; not used with --nats-url")
	flags.Int64Var(&o.queue.MaxBytes, "queue-max-bytes", 0, "how much the queue holds before requests are refused; 0: 6 GiB within the free disk, or 2 GiB with --nats-url")
	flags.StringVar(&o.cluster.URL, "nats-url", "", "comma-separated addresses of the NATS servers that keep the queue, which all replicas share; empty: each replica keeps its own in --data-dir")
	flags.StringVar(&o.cluster.Name, "nats-name", "", "what the queue's streams and subjects begin with, a DNS label: installations that share an account need different ones; empty: hookstorm")
	flags.StringVar(&o.cluster.Credentials, "nats-credentials", "", "a file with a user's JWT and seed, or an NKey's seed, which are not shown as a password in --nats-url is; empty: the servers ask for none")
	flags.StringVar(&o.cluster.TLSDir, "nats-tls-dir", "", "a directory with ca.crt, and with tls.crt and tls.key where the servers ask for a certificate; empty: the system's authorities")
	flags.IntVar(&o.cluster.Replicas, "nats-replicas", 0, "on how many NATS servers a delivery is stored, most of which before it is acknowledged: 1 to 5; 0: 3")
	flags.BoolVar(&o.cluster.AllowLazySync, "nats-allow-lazy-sync", false, "accept NATS servers without the tag sync:always: a power loss of several may lose what was acknowledged")
	flags.DurationVar(&o.queue.DeduplicateWindow, "deduplicate-window", queue.DefaultDeduplicateWindow, "how long a webhook with spec.deduplicate remembers what it took")
	flags.DurationVar(&o.shutdownDelay, "shutdown-delay", 0, "how long requests are still taken after SIGTERM, while load balancers learn of it")
	flags.StringVar(&o.settings.SystemNamespace, "system-namespace", "hookstorm-system", "the namespace that HookStorm runs in")
	flags.StringVar(&o.settings.ExternalURL, "external-url", "", "where senders reach the server, such as https://hooks.example.org: shown in statuses, and what Twilio's signatures are checked with")
	flags.Func("short-url-namespaces", "comma-separated namespaces that may own a short url; empty: all", o.setShortURLNamespaces)
	flags.IntVar(&o.history.NamespaceObjects, "history-namespace-objects", o.history.NamespaceObjects, "TriggerInstances kept in a namespace")
	flags.Int64Var(&o.history.NamespaceBytes, "history-namespace-bytes", o.history.NamespaceBytes, "bytes of payload kept in a namespace")
	flags.IntVar(&o.history.TotalObjects, "history-total-objects", o.history.TotalObjects, "TriggerInstances kept in all")
	flags.Int64Var(&o.history.TotalBytes, "history-total-bytes", o.history.TotalBytes, "bytes of payload kept in all")
	flags.Var(&o.outboundAllow, outbound.AllowFlag, "comma-separated networks that http actions may call although they are closed by default: loopback, link-local, cloud metadata")
	flags.Var(&o.outboundDeny, "outbound-deny", "comma-separated networks that http actions may not call, besides those; the API server is one of them by itself")
	config.RegisterFlags(flags)
	o.log.BindFlags(flags)
	return flags
}

// setShortURLNamespaces reads --short-url-namespaces; an empty text leaves it at all of them.
func (o *options) setShortURLNamespaces(text string) error {
	o.settings.ShortURLNamespaces = nil
	if text == "" {
		return nil
	}
	for namespace := range strings.SplitSeq(text, ",") {
		o.settings.ShortURLNamespaces = append(o.settings.ShortURLNamespaces, strings.TrimSpace(namespace))
	}
	return nil
}

// validate returns what is wrong with the flags, each with the fix.
func (o *options) validate() error {
	errs := o.queueErrors()
	if o.settings.SystemNamespace == "" {
		errs = append(errs, errors.New("--system-namespace: name the namespace that HookStorm runs in"))
	}
	if external := o.settings.ExternalURL; external != "" {
		if parsed, err := url.Parse(external); err != nil || parsed.Host == "" || parsed.RawQuery != "" {
			errs = append(errs, fmt.Errorf("--external-url: %q is no URL such as https://hooks.example.org", external))
		}
	}
	if h := o.history; min(int64(h.NamespaceObjects), h.NamespaceBytes, int64(h.TotalObjects), h.TotalBytes) < 1 {
		errs = append(errs, errors.New("--history-*: write positive numbers"))
	}
	return errors.Join(errs...)
}

// queueErrors returns what is wrong with the flags of the queue.
func (o *options) queueErrors() []error {
	var errs []error
	if o.queue.Dir == "" && o.queue.Cluster == nil {
		errs = append(errs, errors.New("--data-dir: name a directory that survives a restart, or servers with --nats-url"))
	}
	if o.cluster.URL == "" && o.cluster != (queue.Cluster{}) {
		errs = append(errs, errors.New("--nats-*: name the servers with --nats-url"))
	}
	if name := o.cluster.Name; name != "" && len(validation.IsDNS1123Label(name)) > 0 {
		errs = append(errs, fmt.Errorf("--nats-name: %q is no DNS label such as hookstorm", o.cluster.Name))
	}
	if r := o.cluster.Replicas; r < 0 || r > 5 {
		errs = append(errs, errors.New("--nats-replicas: write a number from 1 to 5, or 0 for 3"))
	}
	if o.queue.DeduplicateWindow <= 0 {
		errs = append(errs, errors.New("--deduplicate-window: write a positive duration such as 10m"))
	}
	if o.queue.MaxBytes < 0 {
		errs = append(errs, errors.New("--queue-max-bytes: write 0 or a positive number"))
	}
	return errs
}

func (o *options) logger() logr.Logger { return zap.New(zap.UseFlagOptions(&o.log)) }
