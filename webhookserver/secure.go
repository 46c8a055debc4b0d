package webhookserver

import (
	"crypto/tls"
	"net"
)

// secure makes a listener one for TLS; without a configuration it stays as it is. Certificates come from the
// configuration, which may reload them; the rest is not up to it. Only HTTP/1.1 is offered: HTTP/2 has floods of its own,
// and no sender needs it. Every client is asked for a certificate, and may have none: whom a certificate admits is for each
// webhook to say, whose authorities differ.
func secure(listener net.Listener, config *tls.Config) net.Listener {
	if config == nil {
		return listener
	}
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	config.ClientAuth = tls.RequestClientCert
	return tls.NewListener(listener, config)
}
