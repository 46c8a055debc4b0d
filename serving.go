package main

import (
	"crypto/tls"
	"fmt"
	"path/filepath"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/hookstorm/hookstorm/webhookserver"
)

// The files of a certificate's directory, as a Secret of type kubernetes.io/tls is mounted.
const (
	certificateFile = "tls.crt"
	keyFile         = "tls.key"
)

// listen returns the webhook server, with what the flags say of it.
func listen(mgr ctrl.Manager, o *options, server webhookserver.Options) (*webhookserver.Server, error) {
	var err error
	if server.TLS, err = newTLS(mgr, o); err != nil {
		return nil, err
	}
	server.TrustedProxies, server.ShutdownDelay = o.trustedProxies, o.shutdownDelay
	return webhookserver.Listen(o.webhookAddress, server)
}

// newTLS returns how webhooks are served with the certificate in a directory, which is read again when its files change; nil
// where there is none.
func newTLS(mgr ctrl.Manager, o *options) (*tls.Config, error) {
	if o.certDir == "" {
		return nil, nil
	}
	watcher, err := certwatcher.New(filepath.Join(o.certDir, certificateFile), filepath.Join(o.certDir, keyFile))
	if err != nil {
		return nil, fmt.Errorf("--webhook-tls-cert-dir: reading %s and %s: %w", certificateFile, keyFile, err)
	}
	if err := mgr.Add(watcher); err != nil {
		return nil, fmt.Errorf("watching the certificate: %w", err)
	}
	return &tls.Config{GetCertificate: watcher.GetCertificate}, nil
}

// metricsOptions say how metrics are served: unless --metrics-secure is off, over TLS and to whoever may get /metrics.
func metricsOptions(o *options) metricsserver.Options {
	served := metricsserver.Options{BindAddress: o.metricsAddress, CertDir: o.metricsCertDir}
	if o.metricsSecure {
		served.SecureServing = true
		served.FilterProvider = filters.WithAuthenticationAndAuthorization
		// HTTP/2 has floods of its own, and nobody who reads metrics needs it.
		served.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }}
	}
	return served
}
